"""Points of a ranking → a calibration, fitted by maximum likelihood (Platt) or least squares (isotonic)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from training_job.probabilities import Isotonic, Platt, sigmoid

MAX_STEPS = 100
SMALLEST_GAIN = 1e-12


class Points(NamedTuple):
    """Rows by what is calibrated; arrays of equal length, in any order. Rows count by their weight.

    :param values: corrected scores, their log-odds, or margins
    """

    values: Any
    positives: Any
    negatives: Any


def fit_platt(points: Points) -> Platt:
    """Platt's sigmoid, to his smoothed targets.

    Targets: (N+ + 1) / (N+ + 2) for positives and 1 / (N- + 2) for negatives, which keeps perfectly told classes from
    a slope without end (J. Platt, 1999, section 2.2). Newton's method with a line search: H.-T. Lin, C.-J. Lin and
    R. C. Weng, A note on Platt's probabilistic outputs for support vector machines, Machine Learning 68, 2007.
    A slope that would put higher scores below lower ones is held at 0: then all have one probability.
    """
    masses = points.positives + points.negatives
    high, low = _smoothed_targets(points)
    targets = (high * points.positives + low * points.negatives) / masses
    base = _log_odds(float((masses * targets).sum() / masses.sum()))
    # in units in which the line search starts near the end
    centre = np.average(points.values, weights=masses)
    scale = float(np.sqrt(np.average((points.values - centre) ** 2, weights=masses)))
    if scale == 0:
        return Platt(a=0.0, b=-base)
    slope, level = _logistic_line((points.values - centre) / scale, targets, masses, level=base)
    if slope <= 0:
        return Platt(a=0.0, b=-base)
    return Platt(a=-slope / scale, b=-(level - slope * float(centre) / scale))


def fit_isotonic(points: Points) -> Isotonic:
    """The ascending step function of least squares, by pooling adjacent violators, with straight lines between steps.

    R. E. Barlow et al., Statistical Inference under Order Restrictions, 1972. Steps are kept within Platt's smoothed
    targets, since a probability of 0 or 1 from a few rows would make one later row cost infinitely much.
    """
    values, positives, masses = _by_value(points)
    steps = _pooled(positives / masses, masses)
    low, high = _smoothed_targets(points)[::-1]
    ends = np.cumsum([length for _, length in steps])
    firsts = ends - [length for _, length in steps]
    means = np.clip([mean for mean, _ in steps], low, high)
    places = np.stack([firsts, ends - 1], axis=1).ravel()
    scores, first = np.unique(values[places], return_index=True)
    return Isotonic(scores, np.repeat(means, 2)[first])


def _smoothed_targets(points: Points) -> tuple[float, float]:
    positives, negatives = float(points.positives.sum()), float(points.negatives.sum())
    return (positives + 1) / (positives + 2), 1 / (negatives + 2)


def _logistic_line(values: Any, targets: Any, masses: Any, *, level: float) -> tuple[float, float]:
    """Slope and level of the logistic regression of one variable."""
    line = np.array([0.0, level])
    design = np.stack([values, np.ones(len(values))])
    loss = _loss(line @ design, targets, masses)
    for _ in range(MAX_STEPS):
        chances = sigmoid(line @ design)
        gradient = design @ (masses * (chances - targets))
        curvature = (design * (masses * chances * (1 - chances))) @ design.T
        step = np.linalg.solve(curvature + 1e-12 * masses.sum() * np.eye(2), gradient)
        size = 1.0
        while (found := _loss((line - size * step) @ design, targets, masses)) > loss and size > 1e-10:
            size /= 2
        if found > loss:
            break
        line, gain, loss = line - size * step, loss - found, found
        if gain <= SMALLEST_GAIN * masses.sum():
            break
    return float(line[0]), float(line[1])


def _loss(log_odds: Any, targets: Any, masses: Any) -> float:
    return float((masses * (np.logaddexp(0, log_odds) - targets * log_odds)).sum())


def _by_value(points: Points) -> tuple[Any, Any, Any]:
    """(values ascending and distinct, positives, masses)."""
    values, place = np.unique(points.values, return_inverse=True)
    positives = np.bincount(place, points.positives)
    return values, positives, positives + np.bincount(place, points.negatives)


def _pooled(shares: Any, masses: Any) -> list[tuple[float, int]]:
    """(mean, how many values) of each step."""
    # mass, mass times mean, how many
    steps: list[tuple[float, float, int]] = []
    for share, mass in np.stack([shares, masses], axis=1).tolist():
        step = (mass, mass * share, 1)
        while steps and steps[-1][1] * step[0] >= step[1] * steps[-1][0]:
            before = steps.pop()
            step = (before[0] + step[0], before[1] + step[1], before[2] + step[2])
        steps.append(step)
    return [(total / mass, length) for mass, total, length in steps]


def _log_odds(share: float) -> float:
    return float(np.log(share) - np.log1p(-share))
