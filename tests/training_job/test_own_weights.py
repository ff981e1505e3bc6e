"""Through the whole job, a row of weight 3 is three rows, and rows of one group are one piece of evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from tests.training_job.conftest import Finished, RequestMaker
from tests.training_job.places import Place
from train_evaluate import train_and_evaluate
from training_job.session import run_request

SCHEMA = "label double, indices array<int>, values array<double>, user string"
ROWS, GROUPS, FEATURES = 300, 40, 5
# standardised, features would be scaled by a deviation whose degrees of freedom depend on the weights
PARAMS = {"regParam": 0.001, "tol": 1e-12, "maxIter": 200, "standardization": False}

Row = tuple[Any, ...]
Drawn = dict[str, list[Row]]


def draw(seed: int) -> list[Row]:
    """Rows of users, whose rows are alike, with weights of 1 to 4."""
    random = np.random.default_rng(seed)
    users = random.integers(GROUPS, size=ROWS)
    of_users = np.random.default_rng(3).normal(size=(GROUPS, FEATURES))
    values = np.round(of_users[users] + random.normal(size=(ROWS, FEATURES)), 3)
    labels = random.random(ROWS) < 1 / (1 + np.exp(1 - 1.5 * values[:, 0] + values[:, 1]))
    # positives weigh more, so that without weights every figure is another
    weights = random.integers(1, 4, size=ROWS) + labels
    columns = (labels.tolist(), values.tolist(), users.tolist(), weights.tolist())
    return [
        (float(label), list(range(FEATURES)), row, f"user-{user}", float(weight))
        for label, row, user, weight in zip(*columns, strict=True)
    ]


class Trainings:
    """Trains on rows in Parquet, grouped by user, calibrated, with the threshold of the best F2."""

    def __init__(self, spark: SparkSession, place: Place, folder: Path) -> None:
        self._spark = spark
        self._place = place
        self._folder = folder

    def train(self, name: str, drawn: Drawn, schema: str, **changes: Any) -> Finished:
        files = {split: self._write(f"{name}/{split}", rows, schema) for split, rows in drawn.items()}
        maker = RequestMaker(self._folder / name / "attempt-1", self._place)
        document = maker.document(
            files["train"],
            files["test"],
            validation=files["validation"],
            num_features=FEATURES,
            params=PARAMS | changes.pop("params", {}),
        )
        document["inputs"]["format"] = "parquet"
        document |= {"group_key": "user", "calibration": "platt", **changes}
        document["threshold"] = {"rule": "best_f_beta", "beta": 2.0}
        finished = maker.finished(run_request(self._spark, maker.write(document), train_and_evaluate))
        assert finished.exit_code == 0, finished.json("failure.json")
        return finished

    def _write(self, name: str, rows: list[Row], schema: str) -> list[Path]:
        folder = self._folder / name
        self._spark.createDataFrame(rows, schema).repartition(2).write.parquet(str(folder))
        return sorted(folder.glob("part-*.parquet"))


@pytest.fixture(scope="module")
def trained(
    spark: SparkSession, place: Place, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Finished, Finished]:
    """A training on the weighted rows, and one on their copies; both compared with the same champion."""
    folder = tmp_path_factory.mktemp("own_weights")
    trainings = Trainings(spark, place, folder)
    weighted = {name: draw(seed) for seed, name in enumerate(("train", "validation", "test"))}
    copies = {
        name: [tuple(row) for *row, weight in rows for _ in range(int(weight))]
        for name, rows in weighted.items()
    }
    with_weight = f"{SCHEMA}, weight double"
    champion = {
        "version_id": 1,
        "training_id": "fedcba9876543210",
        "attempt": 1,
        "folder": place.uri(
            trainings.train("champion", weighted, with_weight, params={"regParam": 1.0}).output
        ),
        "data_date": "2026-11-20",
    }
    return (
        trainings.train("weighted", weighted, with_weight, champion=champion),
        trainings.train("copies", copies, SCHEMA, champion=champion),
    )


def numbers(document: Any, path: str = "") -> dict[str, float]:
    """Every number of a document by its path, but for the counts of rows as they are."""
    if isinstance(document, dict):
        return {
            name: value
            for key, inner in document.items()
            if key != "rows"
            for name, value in numbers(inner, f"{path}/{key}").items()
        }
    return {path: document} if isinstance(document, float | int) else {}


def test_weighted_rows_are_learned_from_as_their_copies(trained: tuple[Finished, Finished]) -> None:
    weighted, copies = (
        [_linear(each)["intercept"], *_linear(each)["coefficients"]["values"]] for each in trained
    )
    assert len(weighted) == FEATURES + 1
    assert weighted == pytest.approx(copies, abs=1e-6)


def test_weighted_rows_are_measured_as_their_copies(trained: tuple[Finished, Finished]) -> None:
    weighted, copies = (each.json("metrics.json") for each in trained)
    assert weighted["metrics"]["test"]["rows"] == ROWS
    assert copies["metrics"]["test"]["rows"] == copies["metrics"]["test"]["weighted_rows"] > 2 * ROWS
    for part in ("metrics", "threshold_rule"):
        assert numbers(weighted[part]) == pytest.approx(numbers(copies[part]), abs=1e-6), part
    assert weighted["threshold"] == pytest.approx(copies["threshold"], abs=1e-6)


def test_groups_make_intervals_of_weighted_rows_those_of_their_copies(
    trained: tuple[Finished, Finished],
) -> None:
    weighted, copies = (each.json("metrics.json") for each in trained)
    assert set(weighted["intervals"]["test"]) == {"auc", "log_loss"}
    assert numbers(weighted["intervals"]) == pytest.approx(numbers(copies["intervals"]), abs=1e-7)
    of_weighted, of_copies = (each["comparisons"]["champion"] for each in (weighted, copies))
    assert numbers(of_weighted) == pytest.approx(numbers(of_copies), abs=1e-6)
    for name in ("auc", "log_loss"):
        assert of_weighted["differences"][name]["groups"] == GROUPS


def _linear(finished: Finished) -> dict[str, Any]:
    parameters: dict[str, Any] = finished.json("artifact.json")["parameters"]
    return parameters
