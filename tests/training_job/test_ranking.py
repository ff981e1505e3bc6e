"""Metrics over ranked scores agree with scikit-learn and with Spark's own evaluator, ties and all."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.sql import SparkSession
from sklearn import metrics as sklearn_metrics

from training_job import ranking
from training_job.evaluation import Evaluation, curves, metrics, thresholds
from training_job.ranking import Ranking, rank

THRESHOLD = 0.3


def draw(kind: str) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    labels = (random.random(3000) < 0.2).astype(float)
    scores = 1 / (1 + np.exp(-random.normal(loc=labels * 1.5 - 1, scale=1.2)))
    if kind == "many ties":
        scores = np.round(scores, 1)
    if kind == "one score":
        scores = np.full_like(scores, THRESHOLD)
    if kind == "certain":
        scores = np.where(scores > 0.5, 1.0, 0.0)
    return scores, labels


def ranked(spark: SparkSession, scores: np.ndarray, labels: np.ndarray) -> Ranking:
    pairs = [(float(score), float(label)) for score, label in zip(scores, labels, strict=True)]
    frame = spark.createDataFrame(pairs, "score double, label double").repartition(3)
    return rank(frame, row_count=len(pairs), threshold=THRESHOLD)


@pytest.fixture(params=["driver", "executors"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the rows are ranked; on the executors in several ranges."""
    if request.param == "executors":
        monkeypatch.setattr(ranking, "ROWS_ON_DRIVER", 0)
        monkeypatch.setattr(ranking, "ROWS_IN_A_RANGE", 700)
    return str(request.param)


@pytest.mark.parametrize("kind", ["continuous", "many ties", "one score", "certain"])
def test_metrics_are_scikit_learns(spark: SparkSession, place: str, kind: str) -> None:
    scores, labels = draw(kind)
    found = metrics(ranked(spark, scores, labels))
    decided = scores >= THRESHOLD
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(labels, decided),
        "precision": sklearn_metrics.precision_score(labels, decided),
        "recall": sklearn_metrics.recall_score(labels, decided),
        "f1": sklearn_metrics.f1_score(labels, decided),
        "auc": sklearn_metrics.roc_auc_score(labels, scores),
        "log_loss": sklearn_metrics.log_loss(labels, scores),
        "base_rate": labels.mean(),
        "rows": len(labels),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name
    counts = [found[f"{kind}_{sign}"] for kind in ("true", "false") for sign in ("negatives", "positives")]
    true_negatives, false_positives, false_negatives, true_positives = sklearn_metrics.confusion_matrix(
        labels, decided
    ).ravel()
    assert counts == [true_negatives, true_positives, false_negatives, false_positives]


@pytest.mark.parametrize("kind", ["continuous", "many ties", "one score"])
def test_area_under_pr_is_sparks(spark: SparkSession, place: str, kind: str) -> None:
    scores, labels = draw(kind)
    frame = spark.createDataFrame(
        list(zip(scores.tolist(), labels.tolist(), strict=True)), "score double, label double"
    )
    evaluator = BinaryClassificationEvaluator(
        rawPredictionCol="score", labelCol="label", metricName="areaUnderPR", numBins=0
    )
    assert metrics(ranked(spark, scores, labels))["area_under_pr"] == pytest.approx(
        evaluator.evaluate(frame), abs=1e-9
    )


def test_precision_is_absent_where_nothing_is_decided_for(spark: SparkSession) -> None:
    found = metrics(ranked(spark, np.array([0.1, 0.2]), np.array([0.0, 1.0])))
    assert "precision" not in found
    assert found["f1"] == 0


def test_thresholds_hold_the_counts_at_every_distinct_score(spark: SparkSession, place: str) -> None:
    scores, labels = draw("many ties")
    found = thresholds(Evaluation("test", ranked(spark, scores, labels), {}))
    assert found["exact"]
    assert found["scores"] == sorted(set(scores.tolist()), reverse=True)
    for n, score in enumerate(found["scores"]):
        assert found["true_positives"][n] == labels[scores >= score].sum()
        assert found["false_positives"][n] == (1 - labels)[scores >= score].sum()
    assert (found["positives"], found["negatives"]) == (labels.sum(), (1 - labels).sum())


def test_many_distinct_scores_are_thinned_within_the_stated_error(
    spark: SparkSession, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "MAX_POINTS", 100)
    scores, labels = draw("continuous")
    found = thresholds(Evaluation("test", ranked(spark, scores, labels), {}))
    assert not found["exact"]
    assert len(found["scores"]) <= 100
    points = np.array(found["scores"])
    counts = np.array(found["true_positives"]) + np.array(found["false_positives"])
    assert counts[-1] == len(scores)
    for score in scores:
        above = points[points >= score]
        counted = counts[len(above) - 1] if len(above) else 0
        assert 0 <= (scores >= score).sum() - counted <= found["max_error_rows"]


def test_metrics_stay_exact_where_points_are_thinned(
    spark: SparkSession, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "MAX_POINTS", 100)
    scores, labels = draw("continuous")
    found = metrics(ranked(spark, scores, labels))
    assert found["auc"] == pytest.approx(sklearn_metrics.roc_auc_score(labels, scores), abs=1e-9)


def test_curves_are_short_and_end_where_they_must(spark: SparkSession, place: str) -> None:
    scores, labels = draw("continuous")
    found = curves(Evaluation("test", ranked(spark, scores, labels), {}))
    assert set(found) == {"roc", "precision_recall", "calibration"}
    for curve in found.values():
        assert 2 <= len(curve["x"]) == len(curve["y"]) <= 200
        assert curve["split"] == "test"
        assert np.all(np.diff(curve["x"]) >= 0)
    roc = found["roc"]
    assert (roc["x"][0], roc["y"][0], roc["x"][-1], roc["y"][-1]) == (0, 0, 1, 1)
    assert np.trapezoid(roc["y"], roc["x"]) == pytest.approx(
        sklearn_metrics.roc_auc_score(labels, scores), abs=0.002
    )
    assert found["precision_recall"]["x"][-1] == 1


def test_calibration_tells_well_calibrated_scores(spark: SparkSession) -> None:
    random = np.random.default_rng(3)
    scores = random.random(20_000)
    labels = (random.random(20_000) < scores).astype(float)
    found = curves(Evaluation("test", ranked(spark, scores, labels), {}))["calibration"]
    assert np.abs(np.array(found["x"]) - np.array(found["y"])).max() < 0.06
