"""A ranking → ``curves.json``: ROC, precision-recall and calibration, at most 200 points each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training_job.ranking import evenly_along

if TYPE_CHECKING:
    from training_job.ranking import Ranking

CURVE_POINTS = 200


def curves(ranking: Ranking, *, split: str) -> dict[str, Any]:
    """Curves by name, each with ``split``, ``x_name``, ``y_name``, ``x`` and ``y``; what a missing class leaves
    undefined, or a missing probability, is left out."""
    found: dict[str, dict[str, Any]] = {}
    whole = ranking.whole
    if whole.positives and whole.negatives:
        found["roc"] = _roc(ranking)
    if whole.positives:
        found["precision_recall"] = _precision_recall(ranking)
    if ranking.sums.bins.any():
        found["calibration"] = _calibration(ranking)
    return {name: {"split": split, **axes} for name, axes in found.items()}


def _roc(ranking: Ranking) -> dict[str, Any]:
    recall = np.concatenate([[0], ranking.true_positives]) / ranking.whole.positives
    false_positive_rate = np.concatenate([[0], ranking.false_positives]) / ranking.whole.negatives
    kept = evenly_along(recall + false_positive_rate, CURVE_POINTS)
    return _axes(false_positive_rate=false_positive_rate[kept], true_positive_rate=recall[kept])


def _precision_recall(ranking: Ranking) -> dict[str, Any]:
    recall = ranking.true_positives / ranking.whole.positives
    precision = ranking.true_positives / (ranking.true_positives + ranking.false_positives)
    kept = evenly_along(recall, CURVE_POINTS)
    return _axes(recall=recall[kept], precision=precision[kept])


def _calibration(ranking: Ranking) -> dict[str, Any]:
    """Bins of about equal mass, by ascending probability."""
    mass, probabilities, positives = ranking.sums.bins[ranking.sums.bins[:, 0] > 0][::-1].T
    return _axes(mean_probability=probabilities / mass, positive_rate=positives / mass)


def _axes(**axes: Any) -> dict[str, Any]:
    (x_name, x), (y_name, y) = axes.items()
    return {"x_name": x_name, "y_name": y_name, "x": x.tolist(), "y": y.tolist()}
