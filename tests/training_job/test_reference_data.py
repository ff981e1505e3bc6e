"""The numbers that this job must come to on the original workflow's sample and two public data sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training_job.conftest import Finished, RequestMaker

Run = Callable[[dict[str, Any]], Finished]


def test_original_sample(run: Run, requests: RequestMaker, shared_data: Path) -> None:
    train = shared_data / "seed/sample_binary_classification_training_data.txt"
    test = shared_data / "seed/sample_binary_classification_testing_data.txt"
    finished = run(requests.document([train], [test], num_features=692))
    found = finished.test_metrics
    assert found["accuracy"] == 0.9375
    assert found["auc"] == pytest.approx(0.969298, abs=1e-6)
    assert found["area_under_pr"] == pytest.approx(0.9743, abs=1e-4)
    assert finished.json("metrics.json")["iterations"] == 27


def test_mushrooms(run: Run, requests: RequestMaker, shared_data: Path) -> None:
    train, test = shared_data / "agaricus/agaricus.txt.train", shared_data / "agaricus/agaricus.txt.test"
    found = run(requests.document([train], [test], num_features=126)).test_metrics
    assert (found["accuracy"], found["auc"], found["area_under_pr"]) == (1.0, 1.0, 1.0)
    assert found["rows"] == 1611


# the reference's areas come from Spark's evaluator, which bins scores; ours are exact
@pytest.mark.parametrize(
    ("params", "accuracy", "auc", "area_under_pr"),
    [({}, 0.904376, 0.913985, 0.6949), ({"regParam": 0.01}, 0.899109, 0.918803, 0.6997)],
    ids=["plain", "penalised"],
)
def test_online_shoppers(
    run: Run,
    requests: RequestMaker,
    shared_data: Path,
    params: dict[str, float],
    accuracy: float,
    auc: float,
    area_under_pr: float,
) -> None:
    folder = shared_data / "online_shoppers"
    train, test = folder / "shoppers.train.libsvm", folder / "shoppers.test.libsvm"
    found = run(requests.document([train], [test], num_features=75, params=params)).test_metrics
    assert found["accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert found["auc"] == pytest.approx(auc, abs=2e-5)
    assert found["area_under_pr"] == pytest.approx(area_under_pr, abs=1e-3)
