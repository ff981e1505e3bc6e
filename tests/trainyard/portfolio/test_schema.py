"""The schema that editors read: current, and of one mind with what the loader accepts."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trainyard.cli.portfolios import schema_text
from trainyard.portfolio import PortfolioError, json_schema, load_portfolio
from trainyard.portfolio.fields import field_entries, field_schema
from trainyard.portfolio.schema import accepted

PORTFOLIOS = Path(__file__).parents[3] / "dags" / "portfolios"


def _valid(document: object) -> bool:
    return jsonschema.Draft202012Validator(json_schema()).is_valid(
        json.loads(json.dumps(document, default=str))
    )


def test_the_committed_schema_is_current():
    committed = (PORTFOLIOS / "portfolio.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), (
        "run `trainyard schema` in the repository's folder and commit the result"
    )


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_demo_fits_the_schema_it_points_at():
    text = (PORTFOLIOS / "demo.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=portfolio.schema.json\n")
    assert _valid(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("num_featurs", 3),
        ("num_features", 0),
        ("learner", {"params": {"maxiter": 3}}),
        ("learner", {"params": {"regParam": -1}}),
        ("threshold", {"value": 2}),
        ("inputs", {"train": "s3://features/"}),
        ("cluster", {"spark_defaults": {"executor.memory": "3g"}}),
    ],
)
def test_an_editor_sees_a_models_mistake(smallest, path, value):
    document = yaml.safe_load(smallest)
    assert _valid(document)
    document["models"]["hotels"] = {path: value}
    assert not _valid(document)


def test_an_editor_lets_numbers_and_truths_be_spark_properties_and_tags(smallest):
    document = yaml.safe_load(smallest)
    document["models"]["hotels"] = {"cluster": {"spark_defaults": {"spark.a": 1}, "tags": {"b": True}}}
    assert _valid(document)


def test_every_field_tells_what_it_is_and_what_it_accepts():
    for entry in field_entries():
        assert entry.schema["description"].endswith("."), entry.path
        assert len(accepted(entry.schema)) > 0, entry.path
        assert field_schema(entry.location) == entry.schema


@given(
    num_features=st.integers(-2, 5) | st.booleans() | st.none(),
    threshold=st.floats(-1, 2) | st.text(max_size=2),
    retries=st.integers(-2, 12),
    market=st.sampled_from(["SPOT", "ON_DEMAND", "spot"]),
)
def test_loader_and_schema_agree(tmp_path_factory, num_features, threshold, retries, market):
    document = yaml.safe_load((PORTFOLIOS / "demo.yaml").read_text(encoding="utf-8"))
    document["models"]["hotels"] = {
        "num_features": num_features,
        "threshold": {"value": threshold},
        "retries": retries,
        "cluster": {"core": {"market": market}},
    }
    path = tmp_path_factory.mktemp("agree") / "demo.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    try:
        load_portfolio(path)
    except PortfolioError:
        assert not _valid(document)
    else:
        assert _valid(document)
