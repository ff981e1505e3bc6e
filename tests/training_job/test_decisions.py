"""Whole trainings with rare positives, calibrations and rules: what is chosen on validation is what serves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.ml.linalg import Vectors
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's own documentation has it
from sklearn.metrics import log_loss, roc_auc_score

from tests.training_job.conftest import Finished, RequestMaker, write_rows
from tests.training_job.scored import (
    DECISION,
    draw,
    grouped,
    make_executors_hold_few_rows,
    on_driver,
    on_executors,
)
from tests.training_job.test_artifact import NUM_FEATURES, draw_lines
from training_job import cross_fitting, ranking, scored_rows
from training_job.choices import Imbalance, LearnerChoice
from training_job.deciding import Chosen
from training_job.imbalance import WEIGHT, shown_to_learner
from training_job.learners import learner_for
from training_job.loading import Split
from training_job.metrics import metrics
from training_job.probabilities import Platt, Probabilities
from training_job.ranking import rank
from training_job.scored_rows import OnDriver, Rows, ScoredRows, gather
from training_job.threshold_rules import Choice, Outcomes
from trainyard.scoring import Scored, libsvm_rows, read_artifact

Run = Callable[[dict[str, Any]], Finished]


@pytest.fixture
def document(requests: RequestMaker, tmp_path: Path) -> dict[str, Any]:
    files = [
        write_rows(tmp_path / f"{split}.libsvm", *draw_lines(rows, seed))
        for split, rows, seed in (("train", 600, 1), ("validation", 400, 3), ("test", 300, 2))
    ]
    train, validation, test = files
    made = requests.document([train], [test], num_features=NUM_FEATURES, validation=[validation])
    made["learner"]["params"] = {"regParam": 0.01}
    return made


def scored(finished: Finished, split: str) -> tuple[Scored, np.ndarray]:
    """(by the artifact, labels) of the split's rows."""
    assert finished.exit_code == 0, finished.json("failure.json")
    lines = (finished.output.parent / f"{split}.libsvm").read_text().splitlines()
    scorer = read_artifact((finished.output / "artifact.json").read_bytes())
    return scorer.score(libsvm_rows(lines, num_features=NUM_FEATURES)), np.array(
        [float(line.split()[0]) for line in lines]
    )


def test_a_rules_threshold_is_chosen_on_validation_and_decides_on_test(
    run: Run, document: dict[str, Any]
) -> None:
    document["threshold"] = {"rule": "highest_recall", "min_precision": 0.7}
    finished = run(document)
    found, labels = scored(finished, "validation")
    precision, recall = labels[found.decisions].mean(), labels[found.decisions].sum() / labels.sum()
    assert precision >= 0.7
    for score in found.scores:
        above = found.scores >= score
        assert labels[above].mean() < 0.7 or labels[above].sum() / labels.sum() <= recall
    report = finished.json("metrics.json")["threshold_rule"]
    assert (report["rule"], report["parameters"], report["split"], report["feasible"]) == (
        "highest_recall",
        {"min_precision": 0.7},
        "validation",
        True,
    )
    assert report["achieved"]["precision"] == pytest.approx(precision)
    on_validation = finished.json("metrics.json")["metrics"]["validation"]
    assert on_validation["true_positives"] == report["achieved"]["true_positives"]
    on_test, test_labels = scored(finished, "test")
    assert finished.test_metrics["precision"] == pytest.approx(test_labels[on_test.decisions].mean())
    assert finished.json("metrics.json")["threshold"] == finished.json("artifact.json")["threshold"]


def test_a_rule_that_nothing_satisfies_is_told_and_the_best_kept(run: Run, document: dict[str, Any]) -> None:
    document["threshold"] = {"rule": "limited_positive_rate", "max_positive_rate": 0.0001}
    finished = run(document)
    metrics = finished.json("metrics.json")
    assert metrics["threshold_rule"]["feasible"] is False
    assert metrics["threshold_rule"]["achieved"]["positive_rate"] == 1 / 400
    (warning,) = [each for each in metrics["warnings"] if each["code"] == "threshold_infeasible"]
    assert warning["split"] == "validation"
    assert (
        "limited_positive_rate cannot be satisfied: no threshold decides for at most 0.0001"
        in warning["sentence"]
    )


@pytest.mark.parametrize(
    ("name", "calibration"),
    [("LogisticRegression", "platt"), ("LogisticRegression", "isotonic"), ("LinearSVC", "platt")],
)
def test_calibrated_probabilities_hold_on_test_and_are_measured_by_the_other_half_on_validation(
    run: Run, document: dict[str, Any], name: str, calibration: str
) -> None:
    document["learner"]["name"] = name
    document["imbalance"]["class_weights"] = {"0": 9, "1": 1}
    document["calibration"] = calibration
    document["threshold"] = {"rule": "fixed", "value": 0.5}
    finished = run(document)
    found, labels = scored(finished, "test")
    assert found.probabilities.mean() == pytest.approx(labels.mean(), abs=0.08)
    assert finished.test_metrics["log_loss"] == pytest.approx(log_loss(labels, found.probabilities), abs=1e-9)
    assert (found.decisions == (found.probabilities >= 0.5)).all()
    assert finished.json("artifact.json")["calibration"]["kind"] == calibration
    found, labels = scored(finished, "validation")
    measured = finished.json("metrics.json")["metrics"]["validation"]
    # the whole's map was fitted on these very rows, and flatters
    assert measured["log_loss"] > log_loss(labels, found.probabilities) + 1e-4
    assert measured["auc"] == pytest.approx(roc_auc_score(labels, found.scores), abs=1e-9)


def test_probabilities_are_corrected_for_the_odds_learned_from(run: Run, document: dict[str, Any]) -> None:
    expected, _ = scored(run(document), "test")
    for imbalance in (
        {"negatives_kept": 0.5, "class_weights": None},
        {"negatives_kept": 1.0, "class_weights": "balanced"},
        {"negatives_kept": 0.5, "class_weights": {"0": 1.0, "1": 4.0}},
    ):
        document["imbalance"] = imbalance
        found, _ = scored(run(document), "test")
        assert abs(found.scores.mean() - expected.probabilities.mean()) > 0.02, imbalance
        assert found.probabilities.mean() == pytest.approx(expected.probabilities.mean(), abs=0.02), imbalance
        # value 0.5 of the rule fixed is a probability
        assert (found.decisions == (found.probabilities >= 0.5)).all(), imbalance


def split_of(spark: SparkSession, labels: list[float], weights: list[float] | None = None) -> Split:
    table = [(label, [1.0], weight) for label, weight in zip(labels, weights or labels, strict=True)]
    rows = (
        spark.createDataFrame(table, "label double, features array<double>, weight double")
        .repartition(2)
        .cache()
    )
    return Split(
        "train", rows, len(labels), int(sum(labels)), None, "weight" if weights else None, None, 0, 0
    )


def test_negatives_are_kept_at_the_rate_the_same_ones_every_time(spark: SparkSession) -> None:
    split = split_of(spark, [0.0] * 4000 + [1.0] * 100)
    shown = shown_to_learner(split, Imbalance(negatives_kept=0.25))
    rows = shown.rows.withColumn("n", F.monotonically_increasing_id())
    first, second = sorted(rows.collect()), sorted(rows.collect())
    assert first == second
    negatives = sum(row.label == 0 for row in first)
    assert len(first) - negatives == 100
    assert abs(negatives - 1000) < 4 * np.sqrt(4000 * 0.25 * 0.75)
    assert (shown.odds_factor, shown.weight_column) == (0.25, None)


def test_balanced_classes_weigh_the_same_and_rows_keep_their_own_weight(spark: SparkSession) -> None:
    split = split_of(spark, [0.0, 0.0, 0.0, 1.0], weights=[1.0, 2.0, 3.0, 2.0])
    shown = shown_to_learner(split, Imbalance(class_weights="balanced"))
    assert shown.weight_column == WEIGHT
    found = {(row.label, row.weight): row[WEIGHT] for row in shown.rows.collect()}
    assert found == pytest.approx({(0, 1): 8 / 12, (0, 2): 16 / 12, (0, 3): 2, (1, 2): 4})
    # negatives weigh 3 times as much as positives do
    assert shown.odds_factor == pytest.approx((8 / 12) / (8 / 4))


@pytest.mark.parametrize(
    ("name", "params"),
    [
        # deviations of weighted rows are not those of rows repeated
        ("LogisticRegression", {"regParam": 0.1, "tol": 1e-10, "standardization": False}),
        ("LinearSVC", {"regParam": 0.1, "tol": 1e-10, "standardization": False}),
        ("RandomForestClassifier", {"numTrees": 2, "bootstrap": False, "featureSubsetStrategy": "all"}),
        ("GBTClassifier", {"maxIter": 2}),
    ],
)
def test_every_learner_takes_a_rows_weight_for_rows_repeated(
    spark: SparkSession, name: str, params: dict[str, Any]
) -> None:
    random = np.random.default_rng(6)
    table = [
        (float(random.random() < 1 / (1 + np.exp(-x))), Vectors.dense([x, y]), float(weight))
        for x, y, weight in zip(
            random.normal(size=60), random.normal(size=60), random.integers(1, 4, 60), strict=True
        )
    ]
    repeated = [(label, features, 1.0) for label, features, weight in table for _ in range(int(weight))]
    learn = learner_for(LearnerChoice(name, params), Imbalance())
    scores = []
    for rows, weight in ((table, "weight"), (repeated, None)):
        frame = spark.createDataFrame(rows, ["label", "features", "weight"])
        model = learn(Split("train", frame, len(rows), 1, None, weight, None, 0, 0))
        tried = spark.createDataFrame(table, ["label", "features", "weight"])
        scores.append([row.score for row in model.score(tried).collect()])
    # hinge loss has corners, at which its solver stops earlier
    assert scores[0] == pytest.approx(scores[1], abs=0.01 if name == "LinearSVC" else 1e-4)


def test_no_negative_left_is_a_failure_of_its_own(run: Run, document: dict[str, Any]) -> None:
    document["imbalance"]["negatives_kept"] = 1e-9
    failure = run(document)
    assert failure.exit_code == 1
    assert failure.json("failure.json")["code"] == "one_class"
    assert "none is left at negatives_kept 1e-09" in failure.json("failure.json")["sentence"]


@pytest.mark.parametrize("place", ["driver", "executors"])
@pytest.mark.parametrize("grouped", [False, True])
def test_each_row_and_each_group_is_in_one_half(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, place: str, grouped: bool
) -> None:
    if place == "executors":
        monkeypatch.setattr(scored_rows, "VALUES_ON_DRIVER", 0)
        monkeypatch.setattr(scored_rows, "ROWS_IN_A_BLOCK", 60)
    table = [(n / 400, float(n % 3 == 0), n % 50) for n in range(400)]
    frame = spark.createDataFrame(table, "score double, label double, user long").repartition(2)
    rows = gather(frame, row_count=400, score_columns=["score"], group_column="user" if grouped else None)
    halves = [
        np.concatenate(cross_fitting.half_of(rows, half).map(scores_of)) for half in cross_fitting.HALVES
    ]
    assert sorted(np.concatenate(halves)) == sorted(score for score, _, _ in table)
    assert min(map(len, halves)) > 100
    if grouped:
        users = [{round(score * 400) % 50 for score in half} for half in halves]
        assert not users[0] & users[1]
    whole, by_half = cross_fitting.cross_fitted(rows, Probabilities("probability"), kind="platt")
    assert len({whole.calibration, *(each.calibration for each in by_half)}) == 3
    rows.release()


def test_calibration_error_on_validation_does_not_cancel_between_halves(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = grouped(draw(), size=1)
    # one half's map is as much too high as the other's is too low
    halves = (
        Probabilities("probability", calibration=Platt(-1.0, -1.5)),
        Probabilities("probability", calibration=Platt(-1.0, 1.5)),
    )
    check_halves(on_driver(rows), halves)
    make_executors_hold_few_rows(monkeypatch)
    with on_executors(spark, rows) as scored_there:
        check_halves(scored_there, halves)


def check_halves(scored: ScoredRows, halves: tuple[Probabilities, Probabilities]) -> None:
    blocks = [scored.rows] if isinstance(scored, OnDriver) else scored.blocks.collect()
    scores, labels, groups = (
        np.concatenate(parts)
        for parts in zip(*((each.scores[0], each.labels, each.groups) for each in blocks), strict=True)
    )
    empty = Outcomes(np.empty(0), np.empty(0), np.empty(0), np.empty(0), 0, 0)
    chosen = Chosen(DECISION, "validation", halves, {}, Choice(0.5, True, None, {}), empty)
    ranking = cross_fitting.with_halves(rank(scored, DECISION), scored, chosen)
    found = metrics(ranking, DECISION, row_count=len(labels))
    shift = np.where(groups % 2 == 0, 1.5, -1.5)
    probabilities = 1 / (1 + np.exp(-np.log(scores / (1 - scores)) - shift))
    by_bin = [
        abs(probabilities[part].mean() - labels[part].mean())
        for part in np.split(np.argsort(-probabilities), 15)
    ]
    assert np.mean(by_bin) > 0.1
    assert found["expected_calibration_error"] == pytest.approx(np.mean(by_bin), abs=1e-9)
    assert found["log_loss"] == pytest.approx(log_loss(labels, probabilities), abs=1e-9)


def scores_of(rows: Rows) -> np.ndarray:
    found: np.ndarray = rows.scores[0]
    return found


def test_points_from_executors_know_the_next_lower_score(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scored_rows, "VALUES_ON_DRIVER", 0)
    monkeypatch.setattr(ranking, "SCORES_IN_A_RANGE", 100)
    monkeypatch.setattr(ranking, "POINTS_FROM_EXECUTORS", 50)
    scores = np.random.default_rng(2).permutation(400) / 400
    frame = spark.createDataFrame(
        [(float(score), float(score > 0.6)) for score in scores], "score double, label double"
    )
    found = ranking.rank(gather(frame, row_count=400, score_columns=["score"]))
    assert not found.exact
    assert len(found.scores) > 30
    # across the borders of ranges as well; nothing is below the lowest
    assert found.below[:-1] == pytest.approx(found.scores[:-1] - 1 / 400)
    assert (found.scores[-1], np.isnan(found.below[-1])) == (0, True)
