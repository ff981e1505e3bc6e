"""A range of scores and what it adds to the whole: sums over its ties, given what lies above it.

Scores descend throughout: what stands before a tie has a higher score. "Mass" is the weight of rows, their number where
they have none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from training_job.deciding import Decision

BINS = 15
TOP_SHARES = (0.01, 0.05, 0.10)
# a probability of 0 or 1 that is wrong would cost infinitely much; scikit-learn cuts off here as well
SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)


class Ties(NamedTuple):
    """Rows grouped by score: arrays over the distinct scores, descending; masses of each class."""

    scores: Any
    positives: Any
    negatives: Any


class Mass(NamedTuple):
    """How much there is in some rows; ``scores`` counts the distinct ones."""

    positives: float = 0.0
    negatives: float = 0.0
    scores: int = 0

    @property
    def rows(self) -> float:
        return self.positives + self.negatives

    def plus(self, other: Mass) -> Mass:
        return Mass(
            self.positives + other.positives, self.negatives + other.negatives, self.scores + other.scores
        )


class RangeSums(NamedTuple):
    """What a range adds to the whole; each field is added up by itself.

    :param roc_area: pairs of a positive and a negative that are in order, a tie being half a pair
    :param precision: at each positive, that of the rows at or above its score
    :param pr_area: at each positive, the mean of that and of the precision of the rows above its score: trapezoids
    :param decided: positives and negatives with a score at or above the decision threshold, (2,)
    :param top: positives among the first rows, for each of TOP_SHARES; of a tie at the border, in proportion
    :param losses: logarithmic loss, squared error, and the probabilities themselves, (3,); 0 where there are none
    :param bins: of BINS of equal mass by descending score: mass, probabilities, positives, (BINS, 3); a tie goes
        whole to the bin of its middle
    """

    roc_area: Any
    precision: Any
    pr_area: Any
    decided: Any
    top: Any
    losses: Any
    bins: Any


def group_ties(scores: Any, labels: Any, masses: Any) -> Ties:
    """Arrays of n rows → their ties."""
    distinct, tie = np.unique(scores, return_inverse=True)
    positives = np.bincount(tie, masses * labels, minlength=len(distinct))
    negatives = np.bincount(tie, masses * (1 - labels), minlength=len(distinct))
    # a row of weight 0 says nothing
    counts = (positives + negatives > 0)[::-1]
    return Ties(distinct[::-1][counts], positives[::-1][counts], negatives[::-1][counts])


def merge_ties(parts: Iterable[Ties]) -> Ties:
    """One of several; memory grows with the distinct scores."""
    parts = list(parts)
    if not parts:
        return Ties(np.empty(0), np.empty(0), np.empty(0))
    if len(parts) == 1:
        return parts[0]
    scores, tie = np.unique(np.concatenate([each.scores for each in parts]), return_inverse=True)
    positives = np.bincount(tie, np.concatenate([each.positives for each in parts]))
    negatives = np.bincount(tie, np.concatenate([each.negatives for each in parts]))
    return Ties(scores[::-1], positives[::-1], negatives[::-1])


def mass_of(ties: Ties) -> Mass:
    return Mass(float(ties.positives.sum()), float(ties.negatives.sum()), len(ties.scores))


def highest_of(ties: Ties) -> float | None:
    """The highest score; None where there is none."""
    return float(ties.scores[0]) if len(ties.scores) else None


def sums_of(ties: Ties, *, before: Mass, whole: Mass, decision: Decision | None) -> RangeSums:
    """The sums of one range.

    :param before: what has a higher score than the range
    :param whole: of all ranges
    :param decision: None where nothing is decided yet: then what depends on it is 0
    """
    every = ties.positives + ties.negatives
    true_positives = before.positives + np.cumsum(ties.positives)
    rows_at = before.rows + np.cumsum(every)
    rows_above = rows_at - every
    precision = true_positives / rows_at
    # the curve starts at recall 0 with the precision of its first point
    precision_above = np.divide(
        true_positives - ties.positives, rows_above, out=precision.copy(), where=rows_above > 0
    )
    top = [
        float((ties.positives * np.clip((share * whole.rows - rows_above) / every, 0, 1)).sum())
        for share in TOP_SHARES
    ]
    losses, bins, decided = np.zeros(3), np.zeros((BINS, 3)), np.zeros(2)
    if decision is not None:
        above = ties.scores >= decision.threshold
        decided = np.array([ties.positives[above].sum(), ties.negatives[above].sum()])
        if decision.probabilities.known:
            probabilities = decision.probabilities.of(ties.scores)
            losses = _losses(ties, probabilities)
            middle = (rows_above + every / 2) / whole.rows
            bins = _bins(ties, probabilities, middle)
    return RangeSums(
        roc_area=float((ties.negatives * (true_positives - ties.positives / 2)).sum()),
        precision=float((ties.positives * precision).sum()),
        pr_area=float((ties.positives * (precision + precision_above) / 2).sum()),
        decided=decided,
        top=np.array(top),
        losses=losses,
        bins=bins,
    )


def points_of(ties: Ties, *, before: Mass, whole: Mass, most: int) -> Any:
    """Points of the curve of outcomes: (n, 4) of score, of the positives and negatives at or above it, and of the next
    lower score, NaN behind the range's last.

    Every tie where the whole has no more than ``most``. Else the lowest of each step, of which there are ``most`` if
    both classes count alike; and the lowest of the range, so that the last of all ties is a point.
    """
    true_positives = before.positives + np.cumsum(ties.positives)
    false_positives = before.negatives + np.cumsum(ties.negatives)
    below = np.append(ties.scores[1:], np.nan)[: len(ties.scores)]
    points = np.stack([ties.scores, true_positives, false_positives, below], axis=1)
    if whole.scores <= most or not len(points):
        return points
    return points[_steps(true_positives, false_positives, before=before, whole=whole, most=most)]


def _steps(true_positives: Any, false_positives: Any, *, before: Mass, whole: Mass, most: int) -> Any:
    """Which points are kept: those at which the mean share of both classes passes a multiple of 1/most."""
    shares = [
        np.concatenate([[above], counts]) / total
        for counts, above, total in (
            (true_positives, before.positives, whole.positives),
            (false_positives, before.negatives, whole.negatives),
        )
        if total > 0
    ]
    step = np.floor(np.mean(shares, axis=0) * most)
    kept = np.diff(step) > 0
    kept[-1] = True
    return kept


def logarithmic_losses(labels: Any, probabilities: Any) -> Any:
    """Of each row, in nats; a label between 0 and 1 stands for that share of positives."""
    within = np.clip(probabilities, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return -(labels * np.log(within) + (1 - labels) * np.log1p(-within))


def _losses(ties: Ties, probabilities: Any) -> Any:
    every = ties.positives + ties.negatives
    logarithmic = (every * logarithmic_losses(ties.positives / every, probabilities)).sum()
    squared = (ties.positives * (1 - probabilities) ** 2 + ties.negatives * probabilities**2).sum()
    return np.array([logarithmic, squared, (every * probabilities).sum()])


def _bins(ties: Ties, probabilities: Any, middle: Any) -> Any:
    """:param middle: share of all mass that lies above the middle of each tie"""
    number = np.minimum((middle * BINS).astype(np.int64), BINS - 1)
    every = ties.positives + ties.negatives
    columns = [every, every * probabilities, ties.positives]
    return np.stack([np.bincount(number, column, minlength=BINS) for column in columns], axis=1)
