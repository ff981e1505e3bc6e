"""Standard errors agree with the definitions written out row by row, and with what resampling shows."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import SparkSession
from sklearn.metrics import log_loss, roc_auc_score

from tests.training_job.scored import (
    DECISION,
    MARGINS,
    draw,
    grouped,
    make_executors_hold_few_rows,
    on_driver,
    on_executors,
    weighted,
)
from training_job import influences, ranking
from training_job.influences import Measured, spread
from training_job.intervals import differences, intervals
from training_job.ranking import rank
from training_job.scored_rows import Rows, ScoredRows


def measured(scored: ScoredRows, models: int) -> list[Measured]:
    return [Measured(rank(scored, DECISION, model=model), DECISION) for model in range(models)]


def found_in(scored: ScoredRows, models: int = 2) -> tuple[dict[str, dict[str, float]], ...]:
    """Intervals of the newest of two models, and its differences to the other."""
    both = measured(scored, models)
    products = spread(scored, both)
    return intervals(products, both), differences(products, both, old=1)


def components(rows: Rows, model: int) -> tuple[np.ndarray, np.ndarray]:
    """DeLong's structural components from all pairs: of positives, and of negatives."""
    scores = rows.scores[model]
    positives, negatives = scores[rows.labels == 1], scores[rows.labels == 0]
    kernel = (positives[:, None] > negatives) + (positives[:, None] == negatives) / 2
    return kernel.mean(axis=1), kernel.mean(axis=0)


@pytest.mark.parametrize("kind", ["continuous", "many ties", "certain"])
def test_standard_error_of_auc_is_delongs(kind: str) -> None:
    rows = draw(kind, rows=500, models=2)
    found, difference = found_in(on_driver(rows))
    by_model = [components(rows, model) for model in (0, 1)]
    positives = np.cov([of_model[0] for of_model in by_model])
    negatives = np.cov([of_model[1] for of_model in by_model])
    covariance = positives / rows.labels.sum() + negatives / (1 - rows.labels).sum()
    assert found["auc"]["standard_error"] == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-9)
    assert difference["auc"]["standard_error"] == pytest.approx(
        np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]), rel=1e-9
    )
    assert difference["auc"]["value"] == pytest.approx(
        roc_auc_score(rows.labels, rows.scores[0]) - roc_auc_score(rows.labels, rows.scores[1]), abs=1e-12
    )


def test_standard_error_of_auc_by_group_is_obuchowskis() -> None:
    rows = grouped(draw(rows=500, models=2), size=7)
    found, _ = found_in(on_driver(rows))
    of_positives, of_negatives = components(rows, 0)
    auc = roc_auc_score(rows.labels, rows.scores[0])
    clusters = np.unique(rows.groups)
    positive_groups, negative_groups = rows.groups[rows.labels == 1], rows.groups[rows.labels == 0]
    through_positives = np.array([(of_positives[positive_groups == each] - auc).sum() for each in clusters])
    through_negatives = np.array([(of_negatives[negative_groups == each] - auc).sum() for each in clusters])
    positives, negatives = len(of_positives), len(of_negatives)
    with_positives, with_negatives = len(set(positive_groups)), len(set(negative_groups))
    groups = len(clusters)
    s10 = with_positives / ((with_positives - 1) * positives) * (through_positives**2).sum()
    s01 = with_negatives / ((with_negatives - 1) * negatives) * (through_negatives**2).sum()
    s11 = groups / (groups - 1) * (through_positives * through_negatives).sum()
    variance = s10 / positives + s01 / negatives + 2 * s11 / (positives * negatives)
    assert found["auc"]["standard_error"] == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_standard_error_of_log_loss_is_that_of_a_paired_mean() -> None:
    rows = draw(rows=500, models=2)
    found, difference = found_in(on_driver(rows))
    chances = np.where(rows.labels == 1, rows.scores, 1 - rows.scores)
    losses = -np.log(chances)
    assert found["log_loss"]["value"] == pytest.approx(losses[0].mean())
    assert found["log_loss"]["standard_error"] == pytest.approx(losses[0].std(ddof=1) / np.sqrt(500))
    paired = losses[0] - losses[1]
    assert difference["log_loss"]["value"] == pytest.approx(paired.mean())
    assert difference["log_loss"]["standard_error"] == pytest.approx(paired.std(ddof=1) / np.sqrt(500))
    assert difference["log_loss"]["low"] == pytest.approx(
        paired.mean() - 1.959964 * paired.std(ddof=1) / np.sqrt(500)
    )


def test_rows_that_stand_for_others_by_weight_give_the_figures_of_those() -> None:
    rows = draw(rows=300, models=2)
    times = np.random.default_rng(8).integers(1, 4, 300)
    heavy = rows._replace(weights=times.astype(float), groups=np.arange(300))
    # the same rows written out, copies in one group: they are no independent evidence
    written = Rows(
        np.repeat(rows.labels, times),
        np.repeat(rows.scores, times, axis=1),
        groups=np.repeat(np.arange(300), times),
    )
    for by_weight, by_rows in zip(found_in(on_driver(heavy)), found_in(on_driver(written)), strict=True):
        for name in ("auc", "log_loss"):
            assert by_weight[name] == pytest.approx(by_rows[name], rel=1e-9), name


def test_doubling_every_row_in_its_group_changes_no_standard_error() -> None:
    rows = grouped(draw(rows=400, models=2), size=1)
    doubled = Rows(np.tile(rows.labels, 2), np.tile(rows.scores, 2), groups=np.tile(rows.groups, 2))
    once, twice = found_in(on_driver(rows))[1], found_in(on_driver(doubled))[1]
    assert twice["auc"]["standard_error"] == pytest.approx(once["auc"]["standard_error"], rel=1e-9)
    alone = found_in(on_driver(doubled._replace(groups=None)))[1]
    assert alone["auc"]["standard_error"] < 0.75 * once["auc"]["standard_error"]


def test_standard_errors_by_group_are_what_resampling_groups_shows() -> None:
    random = np.random.default_rng(9)
    users, visits = 120, 6
    taste = np.repeat(random.normal(size=users), visits)
    labels = (random.random(users * visits) < 1 / (1 + np.exp(1 - taste))).astype(float)
    scores = 1 / (1 + np.exp(1 - taste - random.normal(scale=(0.5, 1.5), size=(users * visits, 2)).T))
    rows = Rows(labels, scores, groups=np.repeat(np.arange(users), visits))
    found, difference = found_in(on_driver(rows))
    drawn = []
    by_user = np.arange(users * visits).reshape(users, visits)
    for _ in range(600):
        again = by_user[random.integers(0, users, users)].ravel()
        areas = [roc_auc_score(labels[again], score[again]) for score in scores]
        losses = [log_loss(labels[again], score[again]) for score in scores]
        drawn.append([areas[0], areas[0] - areas[1], losses[0], losses[0] - losses[1]])
    resampled = np.std(drawn, axis=0)
    analytic = [
        each["standard_error"]
        for each in (found["auc"], difference["auc"], found["log_loss"], difference["log_loss"])
    ]
    assert analytic == pytest.approx(resampled.tolist(), rel=0.12)


def test_a_model_does_not_differ_from_itself() -> None:
    rows = draw(rows=500)
    rows = rows._replace(scores=np.tile(rows.scores, (2, 1)))
    _, difference = found_in(on_driver(rows))
    for name in ("auc", "log_loss"):
        assert difference[name]["value"] == 0
        assert difference[name]["standard_error"] == pytest.approx(0, abs=1e-9)


def test_too_few_rows_have_no_interval() -> None:
    rows = Rows(np.array([0.0, 0.0, 1.0]), np.array([[0.1, 0.4, 0.3], [0.2, 0.3, 0.5]]))
    found, difference = found_in(on_driver(rows))
    assert set(found) == set(difference) == {"log_loss"}


def test_a_missing_class_leaves_the_loss_its_interval() -> None:
    rows = draw(rows=100, models=2)._replace(labels=np.zeros(100))
    found, difference = found_in(on_driver(rows))
    assert set(found) == set(difference) == {"log_loss"}


def test_margins_have_an_interval_of_auc_alone() -> None:
    scored = on_driver(draw(rows=100, models=2))
    models = [Measured(rank(scored, MARGINS), MARGINS), Measured(rank(scored, DECISION, model=1), DECISION)]
    products = spread(scored, models)
    assert set(intervals(products, models)) == {"auc"}
    assert set(differences(products, models, old=1)) == {"auc"}


@pytest.mark.parametrize("size", [None, 1, 7], ids=["no groups", "groups of one", "groups of seven"])
def test_executors_find_what_the_driver_finds(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, size: int | None
) -> None:
    rows = weighted(draw("many ties", models=3))
    if size is not None:
        rows = grouped(rows, size=size)
    expected = found_in(on_driver(rows), models=3)
    make_executors_hold_few_rows(monkeypatch)
    monkeypatch.setattr(influences, "ROWS_IN_A_PARTITION", 1000)
    with on_executors(spark, rows) as scored:
        found = found_in(scored, models=3)
    for here, there in zip(expected, found, strict=True):
        for name in ("auc", "log_loss"):
            assert there[name] == pytest.approx(here[name], rel=1e-9, abs=1e-12), name


def test_thinned_points_hardly_change_a_standard_error(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = draw(models=2)
    expected = found_in(on_driver(rows))
    make_executors_hold_few_rows(monkeypatch)
    monkeypatch.setattr(ranking, "POINTS_FROM_EXECUTORS", 500)
    with on_executors(spark, rows) as scored:
        found = found_in(scored)
    for here, there in zip(expected, found, strict=True):
        assert there["auc"]["value"] == pytest.approx(here["auc"]["value"], abs=1e-12)
        assert there["auc"]["standard_error"] == pytest.approx(here["auc"]["standard_error"], rel=2e-3)
