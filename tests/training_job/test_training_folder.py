"""What a training leaves behind is whole, and the manifest answers for every byte of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.ml.classification import LogisticRegressionModel
from pyspark.sql import SparkSession

from tests.training_job.conftest import Finished, RequestMaker, write_rows

Run = Callable[[dict[str, Any]], Finished]


@pytest.fixture
def finished(run: Run, requests: RequestMaker, rows: Path) -> Finished:
    return run(requests.document([rows], [rows], num_features=3, params={"regParam": 0.1}))


def test_manifest_holds_the_hash_of_every_file(finished: Finished) -> None:
    manifest = finished.json("manifest.json")
    found = {
        path.relative_to(finished.output).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "size": path.stat().st_size,
        }
        for path in finished.output.rglob("*")
        # the local file system's checksum files are not seen through Hadoop
        if path.is_file() and not path.name.endswith(".crc")
    }
    request, _ = found.pop("request.json"), found.pop("manifest.json")
    assert manifest["files"] == found
    assert manifest["request_sha256"] == request["sha256"]
    assert manifest["status"] == "succeeded"
    assert manifest["training"] == finished.json("request.json")["training"]
    assert {"artifact.json", "metrics.json", "curves.json", "thresholds.json", "profile.json"} < set(found)
    assert any(name.startswith("model/data/part-") for name in found)


def test_model_can_be_loaded_by_mllib(finished: Finished, spark: SparkSession) -> None:
    model = LogisticRegressionModel.load((finished.output / "model").as_uri())
    assert model.intercept == finished.json("artifact.json")["parameters"]["intercept"]


def test_artifact_says_whose_it_is(finished: Finished) -> None:
    artifact = finished.json("artifact.json")
    assert artifact["kind"] == "logistic_regression"
    assert artifact["feature_space"] == "hotels-v1"
    assert artifact["threshold"] == 0.5
    assert artifact["calibration"] is None
    assert artifact["label_names"] == {"0": "0", "1": "1"}
    assert artifact["lineage"] == {
        "code_sha256": "c0de",
        "dag_id": "demo",
        "run_id": "manual__1",
        "training_id": "0123456789abcdef",
        "attempt": 1,
        "data_date": "2026-11-22",
    }


def test_profile_sums_each_feature(finished: Finished) -> None:
    profile = finished.json("profile.json")
    assert profile["rows"] == 8
    features = profile["features"]
    assert features["indices"] == [0, 1, 2]
    assert features["count"] == [4, 3, 4]
    assert np.allclose(features["sum"], [5, 2.5, 7.5])
    assert np.allclose(features["sum_of_squares"], [7, 2.25, 4 + 1 + 6.25 + 4])


def test_metrics_name_rows_durations_and_iterations(finished: Finished) -> None:
    document = finished.json("metrics.json")
    assert document["metrics"]["train"] == {"rows": 8, "weighted_rows": 8, "positives": 4, "base_rate": 0.5}
    assert document["metrics"]["test"]["rows"] == 8
    assert set(document["durations_seconds"]) == {"load", "learn", "evaluate", "total"}
    assert document["iterations"] > 0
    assert document["comparisons"] == {"champion": None, "best_recent": None}
    assert set(document["intervals"]["test"]) == {"auc", "log_loss"}


def test_labels_are_mapped_and_named(run: Run, requests: RequestMaker, rows: Path) -> None:
    lines = [
        line.replace("0 ", "-1 ", 1) if line.startswith("0") else f"+{line}"
        for line in rows.read_text().splitlines()
    ]
    signed = write_rows(rows.parent / "signed.libsvm", *lines)
    document = requests.document([signed], [signed], num_features=3)
    document["label_mapping"] = {"-1": 0, "+1": 1}
    finished = run(document)
    assert finished.test_metrics["base_rate"] == 0.5
    assert finished.json("artifact.json")["label_names"] == {"0": "-1", "1": "+1"}


def test_thresholds_come_from_validation_where_there_is_one(
    run: Run, requests: RequestMaker, rows: Path
) -> None:
    validation = write_rows(rows.parent / "validation.libsvm", "0 1:1", "1 2:1", "0 3:1")
    finished = run(requests.document([rows], [rows], num_features=3, validation=[validation]))
    thresholds = finished.json("thresholds.json")
    assert (thresholds["split"], thresholds["positives"], thresholds["negatives"]) == ("validation", 1, 2)
    assert finished.json("metrics.json")["metrics"]["validation"]["rows"] == 3
    assert finished.json("curves.json")["curves"]["roc"]["split"] == "test"


def test_only_listed_objects_are_read(run: Run, requests: RequestMaker, rows: Path) -> None:
    write_rows(rows.parent / "part-9.libsvm", "1 1:1")
    # a bracket in a name is no pattern
    odd = write_rows(rows.parent / "part-[0-9] é.libsvm", *rows.read_text().splitlines())
    finished = run(requests.document([odd], [rows], num_features=3))
    assert finished.json("metrics.json")["metrics"]["train"]["rows"] == 8


def test_running_an_attempt_again_replaces_its_failure(run: Run, requests: RequestMaker, rows: Path) -> None:
    document = requests.document([rows], [rows], num_features=3)
    document["inputs"]["train"][0]["size"] += 1
    assert run(document).exit_code == 1
    document["inputs"]["train"][0]["size"] -= 1
    finished = run(document)
    assert finished.exit_code == 0
    assert not (finished.output / "failure.json").exists()
