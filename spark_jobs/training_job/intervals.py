"""How sure a figure is: standard errors and intervals of AUC, of mean losses, and of their paired differences.

- AUC by group: N. Obuchowski, Nonparametric analysis of clustered ROC curve data, Biometrics 53, 1997. Rows without
  groups are groups of one, for which her formula is DeLong's.
- mean logarithmic loss: the standard error of a mean; by group the usual cluster-robust one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from training_job.influences import Measured, Spread

LEVEL = 0.95


def standard_error_of_auc(spread: Spread, contrast: Any) -> float | None:
    """Of the sum of the models' AUCs times ``contrast`` (m,); None with fewer than two groups of a class."""
    if min(spread.with_positives, spread.with_negatives) < 2:
        return None
    models = len(contrast)
    positives, negatives = slice(0, models), slice(models, 2 * models)
    variance = (
        _corrected(spread.with_positives) * _form(spread, contrast, positives, positives)
        + _corrected(spread.with_negatives) * _form(spread, contrast, negatives, negatives)
        + _corrected(spread.groups) * 2 * _form(spread, contrast, positives, negatives)
    )
    return math.sqrt(max(variance, 0.0))


def standard_error_of_log_loss(spread: Spread, contrast: Any) -> float | None:
    """Of the sum of the models' mean losses times ``contrast`` (m,); None with fewer than two groups."""
    if spread.groups < 2:
        return None
    losses = slice(2 * len(contrast), 3 * len(contrast))
    return math.sqrt(max(_corrected(spread.groups) * _form(spread, contrast, losses, losses), 0.0))


def _form(spread: Spread, contrast: Any, left: slice, right: slice) -> float:
    return float(contrast @ spread.products[left, right] @ contrast)


def _corrected(count: int) -> float:
    """For the one degree of freedom that the mean took."""
    return count / (count - 1)


def interval(
    value: float, standard_error: float, *, low: float = -math.inf, high: float = math.inf
) -> dict[str, float]:
    """The normal interval at LEVEL around ``value``, cut at the figure's own limits."""
    reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * standard_error
    return {
        "value": value,
        "standard_error": standard_error,
        "low": max(value - reach, low),
        "high": min(value + reach, high),
        "level": LEVEL,
    }


def intervals(spread: Spread, models: Sequence[Measured]) -> dict[str, dict[str, float]]:
    """By metric, of the model that was just learned; a metric without a standard error is left out."""
    newest = models[0]
    contrast = np.eye(len(models))[0]
    found = {}
    for name, value, error, high in (
        ("auc", newest.ranking.auc, standard_error_of_auc(spread, contrast), 1.0),
        ("log_loss", newest.log_loss, standard_error_of_log_loss(spread, contrast), math.inf),
    ):
        if value is not None and error is not None:
            found[name] = interval(value, error, low=0.0, high=high)
    return found


def differences(spread: Spread, models: Sequence[Measured], *, old: int) -> dict[str, dict[str, float]]:
    """By metric, the newest model's minus that of ``models[old]``, on the same rows."""
    contrast = np.eye(len(models))[0] - np.eye(len(models))[old]
    newest, older = models[0], models[old]
    found = {}
    for name, values, error in (
        ("auc", (newest.ranking.auc, older.ranking.auc), standard_error_of_auc(spread, contrast)),
        ("log_loss", (newest.log_loss, older.log_loss), standard_error_of_log_loss(spread, contrast)),
    ):
        if error is not None and values[0] is not None and values[1] is not None:
            found[name] = interval(values[0] - values[1], error)
    return found
