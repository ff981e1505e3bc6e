"""Calibrations are scikit-learn's, weights and ties and all, and never put a higher score below a lower one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import _sigmoid_calibration
from sklearn.isotonic import IsotonicRegression

from training_job.calibrating import Points, fit_isotonic, fit_platt
from training_job.probabilities import SMALLEST_PROBABILITY, log_odds


def draw(*, rows: int = 400, slope: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """(margins with ties, labels)"""
    random = np.random.default_rng(4)
    margins = np.round(random.normal(scale=2, size=rows), 1)
    return margins, (random.random(rows) < 1 / (1 + np.exp(1 - slope * margins))).astype(float)


def points_of(margins: np.ndarray, labels: np.ndarray) -> Points:
    """One point a distinct margin."""
    values, place = np.unique(margins, return_inverse=True)
    return Points(values, np.bincount(place, labels), np.bincount(place, 1 - labels))


@pytest.mark.parametrize("slope", [0.3, 2.0, 50.0])
def test_platt_is_scikit_learns(slope: float) -> None:
    margins, labels = draw(slope=slope)
    found = fit_platt(points_of(margins, labels))
    a, b = _sigmoid_calibration(margins, labels)
    assert (found.a, found.b) == (pytest.approx(a, rel=1e-3), pytest.approx(b, rel=1e-3, abs=1e-3))


def test_platt_finds_the_maximum_to_the_last_digits() -> None:
    margins, labels = draw()
    found, points = fit_platt(points_of(margins, labels)), points_of(margins, labels)
    chances = found.of(points.values)
    positives, negatives = labels.sum(), (1 - labels).sum()
    targets = (points.positives * (positives + 1) / (positives + 2)) + points.negatives / (negatives + 2)
    off = (points.positives + points.negatives) * chances - targets
    assert abs(off.sum()) < 1e-5
    assert abs((off * points.values).sum()) < 1e-5


def test_platt_holds_a_slope_that_runs_the_wrong_way_at_none() -> None:
    margins, labels = draw(slope=-2.0)
    found = fit_platt(points_of(margins, labels))
    assert found.a == 0
    assert found.of(np.array([-3.0, 3.0])) == pytest.approx(labels.mean(), abs=0.01)


def test_platt_stays_finite_where_classes_are_told_apart_perfectly() -> None:
    found = fit_platt(Points(np.array([-1.0, 1.0]), np.array([0.0, 50.0]), np.array([50.0, 0.0])))
    assert found.of(np.array([-1.0, 1.0])) == pytest.approx([1 / 52, 51 / 52], abs=1e-6)


def test_platt_takes_a_forests_zeros_and_ones() -> None:
    scores = np.array([0.0, 0.5, 1.0])
    found = fit_platt(Points(log_odds(scores), np.array([1.0, 5.0, 9.0]), np.array([9.0, 5.0, 1.0])))
    assert np.isfinite(found.of(log_odds(scores))).all()
    assert abs(log_odds(np.array([0.0]))[0] - np.log(SMALLEST_PROBABILITY)) < 1e-6


def test_platt_of_one_score_is_the_base_rate() -> None:
    found = fit_platt(Points(np.array([0.3]), np.array([20.0]), np.array([60.0])))
    assert (found.a, found.of(np.array([0.3]))[0]) == (0, pytest.approx(0.25, abs=0.01))


def test_isotonic_is_scikit_learns() -> None:
    margins, labels = draw(slope=0.5)
    random = np.random.default_rng(5)
    weights = random.integers(1, 4, size=len(labels)).astype(float)
    values, place = np.unique(margins, return_inverse=True)
    positives = np.bincount(place, weights * labels)
    negatives = np.bincount(place, weights * (1 - labels))
    found = fit_isotonic(Points(values, positives, negatives))
    bounds = {"y_min": 1 / (negatives.sum() + 2), "y_max": (positives.sum() + 1) / (positives.sum() + 2)}
    reference = IsotonicRegression(**bounds, out_of_bounds="clip").fit(margins, labels, sample_weight=weights)
    anywhere = np.linspace(-8, 8, 500)
    assert np.abs(found.of(anywhere) - reference.predict(anywhere)).max() < 1e-9
    assert len(found.scores) < len(values)


def test_isotonic_of_scores_that_rank_backwards_is_level() -> None:
    found = fit_isotonic(Points(np.array([0.1, 0.9]), np.array([9.0, 1.0]), np.array([1.0, 9.0])))
    assert found.of(np.array([0.0, 1.0])) == pytest.approx([0.5, 0.5])


def test_weights_count_as_rows_repeated() -> None:
    once = Points(np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 6.0]), np.array([6.0, 4.0, 3.0]))
    doubled = [np.concatenate([column, column]) for column in once]
    repeated = Points(doubled[0], doubled[1] / 2, doubled[2] / 2)
    for fit in (fit_platt, fit_isotonic):
        assert fit(once).of(once.values) == pytest.approx(fit(repeated).of(once.values), abs=1e-9)
