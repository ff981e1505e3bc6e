"""dags/portfolios/demo.yaml and the data that the laptop makes for it fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainyard.laptop.demo_data import MODELS
from trainyard.portfolio import Portfolio, load_portfolio


@pytest.fixture(scope="module")
def demo() -> Portfolio:
    return load_portfolio(Path(__file__).parents[3] / "dags" / "portfolios" / "demo.yaml")


def test_the_demo_trains_every_model_that_has_data(demo):
    assert demo.models.keys() == MODELS.keys()


@pytest.mark.parametrize("name", MODELS)
def test_each_model_is_as_wide_as_its_data_and_knows_its_labels(demo, name):
    rows = [line.split() for lines in MODELS[name]().values() for line in lines]
    assert max(int(row[-1].partition(":")[0]) for row in rows) == demo.models[name].num_features
    assert {row[0] for row in rows} <= demo.models[name].label_mapping.keys()
