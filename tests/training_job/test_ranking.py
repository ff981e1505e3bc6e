"""Metrics over ranked scores agree with scikit-learn, ties, weights and all, wherever the rows are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.sql import SparkSession
from sklearn import metrics as sklearn_metrics

from tests.training_job.scored import (
    DECISION,
    MARGINS,
    THRESHOLD,
    draw,
    make_executors_hold_few_rows,
    on_driver,
    on_executors,
    weighted,
)
from training_job import ranking
from training_job.curves import curves
from training_job.metrics import metrics
from training_job.ranking import Ranking, rank
from training_job.scored_rows import Rows
from trainyard.portfolio.gate import METRICS


def found_in(rows: Rows) -> dict[str, float]:
    return metrics(rank(on_driver(rows), DECISION), DECISION, row_count=len(rows.labels))


def test_a_gate_may_bound_every_metric_that_the_job_gives() -> None:
    # which rows stand in train no ranking knows: the job says it beside
    assert {*found_in(draw()), "share_seen_in_train"} == set(METRICS)


@pytest.mark.parametrize("weigh", [lambda rows: rows, weighted], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", ["continuous", "many ties", "one score", "certain"])
def test_metrics_are_scikit_learns(kind: str, weigh: Callable[[Rows], Rows]) -> None:
    rows = weigh(draw(kind))
    found = found_in(rows)
    labels, (scores,), weights = rows.labels, rows.scores, rows.masses
    decided = scores >= THRESHOLD
    by_weight = {"sample_weight": weights}
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(labels, decided, **by_weight),
        "precision": sklearn_metrics.precision_score(labels, decided, **by_weight),
        "recall": sklearn_metrics.recall_score(labels, decided, **by_weight),
        "f1": sklearn_metrics.f1_score(labels, decided, **by_weight),
        "auc": sklearn_metrics.roc_auc_score(labels, scores, **by_weight),
        "average_precision": sklearn_metrics.average_precision_score(labels, scores, **by_weight),
        "log_loss": sklearn_metrics.log_loss(labels, scores, **by_weight),
        "brier_score": sklearn_metrics.brier_score_loss(labels, scores, **by_weight),
        "base_rate": np.average(labels, weights=weights),
        "positive_rate": np.average(decided, weights=weights),
        "predicted_over_observed": np.average(scores, weights=weights) / np.average(labels, weights=weights),
        "rows": len(labels),
        "weighted_rows": weights.sum(),
        "positives": weights[labels == 1].sum(),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9, rel=1e-12), name
    counts = [found[f"{kind}_{sign}"] for kind in ("true", "false") for sign in ("negatives", "positives")]
    true_negatives, false_positives, false_negatives, true_positives = sklearn_metrics.confusion_matrix(
        labels, decided, **by_weight
    ).ravel()
    assert counts == pytest.approx([true_negatives, true_positives, false_negatives, false_positives])


@pytest.mark.parametrize("kind", ["continuous", "many ties", "one score"])
def test_area_under_pr_is_sparks(spark: SparkSession, kind: str) -> None:
    rows = draw(kind)
    table = list(zip(rows.scores[0].tolist(), rows.labels.tolist(), strict=True))
    evaluator = BinaryClassificationEvaluator(
        rawPredictionCol="score", labelCol="label", metricName="areaUnderPR", numBins=0
    )
    expected = evaluator.evaluate(spark.createDataFrame(table, "score double, label double"))
    assert found_in(rows)["area_under_pr"] == pytest.approx(expected, abs=1e-9)


def test_normalized_log_loss_is_1_for_the_base_rate_itself() -> None:
    rows = draw()
    rows = rows._replace(scores=np.full((1, 3000), rows.labels.mean()))
    found = found_in(rows)
    assert found["normalized_log_loss"] == pytest.approx(1, abs=1e-12)
    assert found["expected_calibration_error"] == pytest.approx(0, abs=1e-12)
    # a constant score finds in its first tenth what any tenth holds
    assert found["lift_at_10_percent"] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("share", [1, 5, 10])
def test_first_rows_hold_what_sorting_says(share: int) -> None:
    rows = draw()
    found = found_in(rows)
    first = np.argsort(-rows.scores[0])[: 3000 * share // 100]
    recall = rows.labels[first].sum() / rows.labels.sum()
    assert found[f"recall_at_{share}_percent"] == pytest.approx(recall, abs=1e-12)
    lift = rows.labels[first].mean() / rows.labels.mean()
    assert found[f"lift_at_{share}_percent"] == pytest.approx(lift, rel=1e-12)


def test_first_rows_of_weighted_ties_are_the_mean_over_orders_of_the_ties() -> None:
    rows = Rows(np.array([1.0, 0, 1, 0]), np.array([[0.9, 0.9, 0.9, 0.1]]), np.array([1.0, 2, 3, 54]))
    # the first tenth weighs 6, which is the tie of 0.9; the first twentieth 3, half of it
    found = found_in(rows)
    assert found["recall_at_10_percent"] == pytest.approx(1)
    assert found["recall_at_5_percent"] == pytest.approx(0.5)


def test_calibration_error_is_that_of_15_bins_of_equal_mass() -> None:
    rows = draw()
    order = np.argsort(rows.scores[0])
    by_bin = [abs(rows.scores[0][part].mean() - rows.labels[part].mean()) for part in np.split(order, 15)]
    assert found_in(rows)["expected_calibration_error"] == pytest.approx(np.mean(by_bin), abs=1e-12)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_what_a_missing_class_leaves_undefined_is_absent(label: float) -> None:
    rows = draw()._replace(labels=np.full(3000, label))
    found = found_in(rows)
    absent = {"auc", "normalized_log_loss"}
    if label == 0:
        absent |= {"average_precision", "recall", "recall_at_1_percent", "lift_at_10_percent"}
        absent |= {"predicted_over_observed", "f1"}
    assert not absent & set(found)
    assert found["base_rate"] == label
    assert found["log_loss"] > 0
    assert set(curves(rank(on_driver(rows), DECISION), split="test")) == (
        {"precision_recall", "calibration"} if label else {"calibration"}
    )


def test_precision_is_absent_where_nothing_is_decided_for() -> None:
    found = found_in(Rows(np.array([0.0, 1.0]), np.array([[0.1, 0.2]])))
    assert "precision" not in found
    assert found["f1"] == 0


def test_margins_without_calibration_have_no_probability_metrics() -> None:
    rows = draw()
    rows = rows._replace(scores=rows.scores * 20 - 10)
    found = metrics(rank(on_driver(rows), MARGINS), MARGINS, row_count=3000)
    assert found["auc"] == pytest.approx(sklearn_metrics.roc_auc_score(rows.labels, rows.scores[0]))
    assert not {"log_loss", "brier_score", "expected_calibration_error", "predicted_over_observed"} & set(
        found
    )
    assert "calibration" not in curves(rank(on_driver(rows), MARGINS), split="test")


def test_points_hold_the_counts_at_every_distinct_score() -> None:
    rows = draw("many ties")
    found = rank(on_driver(rows))
    labels, (scores,) = rows.labels, rows.scores
    assert found.exact
    assert found.scores.tolist() == sorted(set(scores.tolist()), reverse=True)
    for n, score in enumerate(found.scores):
        assert found.true_positives[n] == labels[scores >= score].sum()
        assert found.false_positives[n] == (1 - labels)[scores >= score].sum()
    kept, error = found.thinned(10_000)
    assert len(kept) == len(found.scores)
    assert error == 0


def test_thinned_points_stay_within_the_stated_error(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = draw()
    found = rank(on_driver(rows))
    kept, error = found.thinned(100)
    assert len(kept) <= 100
    assert 0 < error <= 200
    points, counts = found.scores[kept], (found.true_positives + found.false_positives)[kept]
    assert counts[-1] == 3000
    (scores,) = rows.scores
    for score in scores:
        above = points[points >= score]
        counted = counts[len(above) - 1] if len(above) else 0
        assert 0 <= (scores >= score).sum() - counted <= error


@pytest.mark.parametrize(
    "rows",
    [weighted(draw()), draw("many ties"), draw("one score"), draw()._replace(labels=np.zeros(3000))],
    ids=["weighted", "many ties", "one score", "one class"],
)
def test_executors_find_what_the_driver_finds(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, rows: Rows
) -> None:
    expected = rank(on_driver(rows), DECISION)
    make_executors_hold_few_rows(monkeypatch)
    with on_executors(spark, rows) as scored:
        found = rank(scored, DECISION)
    assert found.exact
    assert np.allclose(found.scores, expected.scores, rtol=0, atol=0)
    assert np.allclose(found.true_positives, expected.true_positives)
    assert np.allclose(found.false_positives, expected.false_positives)
    here, there = (metrics(each, DECISION, row_count=3000) for each in (expected, found))
    assert there == pytest.approx(here, rel=1e-9)


def test_points_from_executors_part_both_classes_finely(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_executors_hold_few_rows(monkeypatch)
    monkeypatch.setattr(ranking, "POINTS_FROM_EXECUTORS", 400)
    rows = draw()
    with on_executors(spark, rows) as scored:
        found = rank(scored, DECISION)
    assert not found.exact
    assert len(found.scores) < 420
    assert np.diff(found.true_positives, prepend=0).max() <= rows.labels.sum() / 200 + 1
    assert found.auc == pytest.approx(sklearn_metrics.roc_auc_score(rows.labels, rows.scores[0]), abs=1e-12)


def test_curves_are_short_and_end_where_they_must() -> None:
    rows = draw()
    found = curves(rank(on_driver(rows), DECISION), split="test")
    assert set(found) == {"roc", "precision_recall", "calibration"}
    for curve in found.values():
        assert 2 <= len(curve["x"]) == len(curve["y"]) <= 200
        assert curve["split"] == "test"
        assert np.all(np.diff(curve["x"]) >= 0)
    roc = found["roc"]
    assert (roc["x"][0], roc["y"][0], roc["x"][-1], roc["y"][-1]) == (0, 0, 1, 1)
    assert np.trapezoid(roc["y"], roc["x"]) == pytest.approx(
        sklearn_metrics.roc_auc_score(rows.labels, rows.scores[0]), abs=0.002
    )
    assert found["precision_recall"]["x"][-1] == 1


def test_calibration_tells_well_calibrated_scores() -> None:
    random = np.random.default_rng(3)
    scores = random.random(20_000)
    labels = (random.random(20_000) < scores).astype(float)
    ranked: Ranking = rank(on_driver(Rows(labels, scores[None, :])), DECISION)
    found = curves(ranked, split="test")["calibration"]
    assert np.abs(np.array(found["x"]) - np.array(found["y"])).max() < 0.06
