"""A calibration fitted on all validation rows, and on each half of them for the other.

Measured on rows that it was fitted on, a calibration looks better than it is. So the rows are cut into two halves, by
group where there are groups, and each half is measured by what the other one taught.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from training_job.calibrating import Points, fit_isotonic, fit_platt
from training_job.failures import JobError
from training_job.probabilities import Probabilities
from training_job.ranking import Ranking, rank
from training_job.scored_rows import OnDriver, OnExecutors

if TYPE_CHECKING:
    from training_job.deciding import Chosen
    from training_job.scored_rows import Rows, ScoredRows

SEED = 17
HALVES = (0, 1)
# of each half; between two of them lies less than a 1/50,000 of either class
MAX_POINTS = 100_000


def cross_fitted(
    scored: ScoredRows, raw: Probabilities, *, kind: str
) -> tuple[Probabilities, tuple[Probabilities, Probabilities]]:
    """Calibrated probabilities, and those for the rows of either half, fitted on the other.

    :param raw: probabilities without a calibration
    :param kind: ``platt`` or ``isotonic``
    :raises JobError: ``no_rows`` where there are too few to halve
    """
    first, second = (_points(rank(half_of(scored, half)), raw, kind) for half in HALVES)
    if not (len(first.values) and len(second.values)):
        raise JobError(
            "no_rows", "the validation split has too few rows, or groups, to calibrate on its halves"
        )
    both = Points(*(np.concatenate(columns) for columns in zip(first, second)))
    whole, by_first, by_second = (
        replace(raw, calibration=fit_platt(points) if kind == "platt" else fit_isotonic(points))
        for points in (both, first, second)
    )
    return whole, (by_second, by_first)


def with_halves(ranking: Ranking, scored: ScoredRows, chosen: Chosen) -> Ranking:
    """The ranking of the rows that were calibrated on, with losses and bins by the other half's probabilities.

    Both halves are binned together, by probability: half by half and by rank, what one half's map puts too high and
    the other's too low would cancel in each bin.
    """
    if chosen.halves is None:
        return ranking
    by_other_half = partial(_by_other_half, halves=chosen.halves)
    if isinstance(scored, OnDriver):
        pooled: ScoredRows = OnDriver(by_other_half(scored.rows))
    else:
        pooled = OnExecutors(scored.blocks.map(by_other_half), scored.row_count, scored.grouped)
    as_they_are = replace(chosen.decision, probabilities=Probabilities("probability"))
    sums = rank(pooled, as_they_are).sums
    return replace(ranking, sums=ranking.sums._replace(losses=sums.losses, bins=sums.bins))


def half_of(scored: ScoredRows, half: int) -> ScoredRows:
    """One of the two halves; a row is always in the same one."""
    if isinstance(scored, OnDriver):
        return OnDriver(_half(scored.rows, half=half))
    return OnExecutors(scored.blocks.map(partial(_half, half=half)), scored.row_count, scored.grouped)


def halves_of(rows: Rows) -> Any:
    """Which half each row of a block is in, 0 or 1, (n,)."""
    if rows.groups is None:
        return np.random.default_rng([SEED, len(rows.labels)]).integers(2, size=len(rows.labels))
    # groups are hashes: their last bit is as good as a coin
    return rows.groups & 1


def _by_other_half(rows: Rows, *, halves: tuple[Probabilities, Probabilities]) -> Rows:
    """The rows with probabilities as their scores, each by what the half it is not in has taught."""
    in_first = halves_of(rows) == 0
    return rows._replace(scores=np.where(in_first, *(each.of(rows.scores[:1]) for each in halves)))


def _half(rows: Rows, *, half: int) -> Rows:
    inside = halves_of(rows) == half
    return type(rows)(
        labels=rows.labels[inside],
        scores=rows.scores[:, inside],
        weights=None if rows.weights is None else rows.weights[inside],
        groups=None if rows.groups is None else rows.groups[inside],
    )


def _points(ranking: Ranking, raw: Probabilities, kind: str) -> Points:
    """One point a distinct score; of more than MAX_POINTS, one a step, at the step's lowest score."""
    kept, _ = ranking.thinned(MAX_POINTS)
    scores = ranking.scores[kept]
    values: Any = raw.calibrated_from(scores) if kind == "platt" else raw.corrected(scores)
    return Points(
        values=values,
        positives=np.diff(ranking.true_positives[kept], prepend=0.0),
        negatives=np.diff(ranking.false_positives[kept], prepend=0.0),
    )
