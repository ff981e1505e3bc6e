"""Every learner's artifact scores rows as Spark's own model does, without Spark."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.ml.linalg import Vectors
from pyspark.sql import SparkSession

from tests.training_job.conftest import Finished, RequestMaker, write_rows
from training_job import training_folder, trees
from training_job.learners import LEARNERS, load_model
from training_job.scores import score_rows
from trainyard.scoring import Rows, libsvm_rows, read_artifact

Run = Callable[[dict[str, Any]], Finished]
NUM_FEATURES = 12

LEARNER_PARAMS: dict[str, dict[str, Any]] = {
    "LogisticRegression": {"regParam": 0.01},
    "LinearSVC": {"regParam": 0.01},
    "RandomForestClassifier": {"numTrees": 7, "maxDepth": 6, "maxBins": 64, "impurity": "entropy"},
    "GBTClassifier": {"maxIter": 5, "maxDepth": 4, "stepSize": 0.3},
}
every_learner = pytest.mark.parametrize("name", LEARNER_PARAMS)


def draw_lines(rows: int, seed: int) -> list[str]:
    """Rows of few features each, negative values and rows of none among them."""
    random = np.random.default_rng(seed)
    lines = []
    for _ in range(rows):
        features = np.flatnonzero(random.random(NUM_FEATURES) < 0.4)
        values = random.normal(scale=2, size=len(features))
        odds = np.exp(values[features % 3 == 0].sum() - 0.5)
        text = " ".join(f"{n + 1}:{value!r}" for n, value in zip(features, values.tolist(), strict=True))
        lines.append(f"{int(random.random() < odds / (1 + odds))} {text}")
    return lines


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return (
        write_rows(tmp_path / "train.libsvm", *draw_lines(600, 1)),
        write_rows(tmp_path / "test.libsvm", *draw_lines(300, 2)),
    )


def document_for(requests: RequestMaker, files: tuple[Path, Path], name: str) -> dict[str, Any]:
    train, test = files
    document = requests.document([train], [test], num_features=NUM_FEATURES)
    document["learner"] = {"name": name, "params": LEARNER_PARAMS[name]}
    return document


def sparks_scores(spark: SparkSession, finished: Finished, rows: Rows) -> np.ndarray:
    """By the saved model, loaded again by MLlib."""
    artifact = finished.json("artifact.json")
    vectors = []
    for n in range(len(rows)):
        row = rows.part(n, n + 1)
        vectors.append((n, Vectors.sparse(NUM_FEATURES, row.indices.tolist(), row.values.tolist())))
    frame = spark.createDataFrame(vectors, ["n", "features"])
    model = load_model(artifact["kind"], (finished.output / "model").as_uri())
    scored = score_rows(model, frame, score_kind=artifact["score_kind"]).collect()
    return np.array([row.score for row in sorted(scored, key=lambda row: row.n)])


def test_every_learner_is_tried_here() -> None:
    assert LEARNER_PARAMS.keys() == LEARNERS.keys()


@every_learner
def test_artifact_scores_as_spark_does(
    spark: SparkSession, run: Run, requests: RequestMaker, files: tuple[Path, Path], name: str
) -> None:
    finished = run(document_for(requests, files, name))
    assert finished.exit_code == 0, finished.json("failure.json")
    scorer = read_artifact((finished.output / "artifact.json").read_bytes())
    assert finished.test_metrics["auc"] > 0.7
    rows = libsvm_rows(files[1].read_text().splitlines(), num_features=NUM_FEATURES)
    scored = scorer.score(rows)
    expected = sparks_scores(spark, finished, rows)
    assert len(np.unique(expected)) > 10
    assert np.abs(scored.scores - expected).max() < 1e-9
    assert (scored.probabilities is None) == (name == "LinearSVC")


@pytest.mark.parametrize("name", ["RandomForestClassifier", "GBTClassifier"])
def test_a_retry_grows_the_same_trees(
    run: Run, requests: RequestMaker, files: tuple[Path, Path], name: str
) -> None:
    document = document_for(requests, files, name)
    document["learner"]["params"] = {**LEARNER_PARAMS[name], "subsamplingRate": 0.5}
    first, second = (run(document).json("artifact.json")["parameters"] for _ in range(2))
    assert first == second


def test_a_large_artifact_is_gzipped_and_scores(
    run: Run, requests: RequestMaker, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_folder, "LARGEST_PLAIN_BYTES", 100)
    finished = run(document_for(requests, files, "LogisticRegression"))
    assert not (finished.output / "artifact.json").exists()
    assert "artifact.json.gz" in finished.json("manifest.json")["files"]
    content = (finished.output / "artifact.json.gz").read_bytes()
    assert read_artifact(content).num_features == NUM_FEATURES
    assert read_artifact(gzip.decompress(content)).feature_space == "hotels-v1"


def test_a_leaf_that_is_no_number_fails_as_diverged(
    run: Run, requests: RequestMaker, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    boosted = LEARNERS["GBTClassifier"]
    broken = replace(
        boosted, parameters=lambda _model, folder: trees._trees(folder, lambda _node: float("nan"))
    )
    monkeypatch.setitem(LEARNERS, "GBTClassifier", broken)
    failure = run(document_for(requests, files, "GBTClassifier")).failure
    assert failure["code"] == "learning_diverged"
