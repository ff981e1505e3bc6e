"""Rows ordered by score, from which every metric and curve follows exactly, ties and weights and all.

All that counts of a row is its score, so rows of equal score become one tie. Rows on the driver are ranked there. Of
rows on executors, every block's ties go to the range of scores that they belong to, each range is ranked by itself, and
the driver adds up what the ranges say; a score never lies in two of them. To the driver come sums, and a bounded number
of points.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pyspark import StorageLevel

from training_job.ranges import (
    Mass,
    RangeSums,
    Ties,
    group_ties,
    highest_of,
    mass_of,
    merge_ties,
    points_of,
    sums_of,
)
from training_job.scored_rows import OnDriver

if TYPE_CHECKING:
    from pyspark import RDD

    from training_job.deciding import Decision
    from training_job.scored_rows import OnExecutors, Rows, ScoredRows

# between two of them then lies less than a 1/50,000 of either class
POINTS_FROM_EXECUTORS = 100_000
SCORES_IN_A_RANGE = 1_000_000
SCORES_SAMPLED = 200_000
SEED = 7


@dataclass(frozen=True)
class Ranking:
    """All rows by descending score; arrays over points, which are distinct scores.

    :param whole: mass of all rows
    :param true_positives: mass of the positives with a score at or above the point's; ``false_positives`` likewise
    :param below: the next lower score of any row; NaN at the last point, which is the lowest of all
    :param exact: every distinct score is a point
    """

    whole: Mass
    sums: RangeSums
    scores: Any
    true_positives: Any
    false_positives: Any
    below: Any
    exact: bool

    @property
    def auc(self) -> float | None:
        """Area under the ROC curve; None where a class is missing."""
        pairs = self.whole.positives * self.whole.negatives
        return float(self.sums.roc_area / pairs) if pairs else None

    def outcomes_at(self, threshold: float) -> tuple[float, float]:
        """Mass of the positives and of the negatives with a score of at least ``threshold``, as far as points tell."""
        decided = int(np.searchsorted(-self.scores, -threshold, side="right"))
        if not decided:
            return 0.0, 0.0
        return float(self.true_positives[decided - 1]), float(self.false_positives[decided - 1])

    def thinned(self, most: int) -> tuple[Any, float]:
        """Which points to keep to have at most ``most``, and the largest mass between two neighbours of them.

        The mass is how far the counts of a score between two points can be from the higher point's; 0 where the points
        are all distinct scores.
        """
        kept = np.arange(len(self.scores))
        if len(kept) > most:
            position = self.true_positives / max(self.whole.positives, 1e-300)
            position = position + self.false_positives / max(self.whole.negatives, 1e-300)
            kept = evenly_along(position, most)
        elif self.exact:
            return kept, 0.0
        rows = (self.true_positives + self.false_positives)[kept]
        return kept, float(np.diff(rows, prepend=0).max())


def evenly_along(position: Any, most: int) -> Any:
    """Indices of at most ``most`` of the ascending positions, about evenly far apart, with the first and the last."""
    if len(position) <= most:
        return np.arange(len(position))
    wanted = np.linspace(position[0], position[-1], most)
    return np.unique(np.append(np.searchsorted(position, wanted[:-1]), len(position) - 1))


def rank(scored: ScoredRows, decision: Decision | None = None, *, model: int = 0) -> Ranking:
    """Rank the rows by the scores of one model.

    :param decision: of this model; without one, what depends on probabilities and a threshold is 0
    :param model: which of the rows' scores
    """
    if isinstance(scored, OnDriver):
        ties = _ties_of(scored.rows, model)
        whole = mass_of(ties)
        sums = sums_of(ties, before=Mass(), whole=whole, decision=decision)
        points = points_of(ties, before=Mass(), whole=whole, most=len(ties.scores))
        return _ranking(whole, [_RankedRange(sums, points, highest_of(ties))], exact=True)
    ranges = _ties_by_range(scored, model).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        masses = ranges.map(mass_of).collect()
        before = [Mass()]
        for each in masses:
            before.append(before[-1].plus(each))
        whole = before[-1]
        of_range = partial(
            _rank_range, before=before, whole=whole, decision=decision, most=POINTS_FROM_EXECUTORS
        )
        return _ranking(
            whole,
            ranges.mapPartitionsWithIndex(of_range).collect(),
            exact=whole.scores <= POINTS_FROM_EXECUTORS,
        )
    finally:
        ranges.unpersist()


class _RankedRange(NamedTuple):
    """
    :param points: as :func:`training_job.ranges.points_of` has them
    :param highest: its highest score; None where it has no rows
    """

    sums: RangeSums
    points: Any
    highest: float | None


def _rank_range(
    number: int,
    ranges: Iterable[Ties],
    *,
    before: list[Mass],
    whole: Mass,
    decision: Decision | None,
    most: int,
) -> Iterator[_RankedRange]:
    above = before[number]
    for ties in ranges:
        sums = sums_of(ties, before=above, whole=whole, decision=decision)
        points = points_of(ties, before=above, whole=whole, most=most)
        yield _RankedRange(sums, points, highest_of(ties))


def _ranking(whole: Mass, ranges: list[_RankedRange], *, exact: bool) -> Ranking:
    lower = np.nan
    for each in reversed(ranges):
        if each.highest is not None:
            # a range's last score is always a point, and the next lower one is the first of what follows
            each.points[-1, 3], lower = lower, each.highest
    points = np.concatenate([each.points for each in ranges])
    return Ranking(
        whole=whole,
        sums=RangeSums(*(sum(field) for field in zip(*(each.sums for each in ranges)))),
        scores=points[:, 0],
        true_positives=points[:, 1],
        false_positives=points[:, 2],
        below=points[:, 3],
        exact=exact,
    )


def _ties_of(rows: Rows, model: int) -> Ties:
    return group_ties(rows.scores[model], rows.labels, rows.masses)


def _ties_by_range(scored: OnExecutors, model: int) -> RDD[Ties]:
    """One Ties a partition, partitions by descending score."""
    borders = _borders(scored, model)
    ties = scored.blocks.flatMap(partial(_cut, borders=borders, model=model))
    # two borders apart there is a range, and every border is one by itself: a common score does not burden others
    by_range = ties.partitionBy(2 * len(borders) + 1, _itself)
    return by_range.mapPartitions(_merged)


def _borders(scored: OnExecutors, model: int) -> Any:
    """Scores that cut the rows into ranges of about SCORES_IN_A_RANGE rows, descending."""
    ranges = math.ceil(scored.row_count / SCORES_IN_A_RANGE)
    share = min(1.0, SCORES_SAMPLED / scored.row_count)
    sample = np.sort(np.concatenate(scored.map(partial(_sample, model=model, share=share))))
    places = np.linspace(0, len(sample) - 1, ranges + 1)[1:-1].astype(np.int64)
    return np.unique(sample[places])[::-1] if len(sample) else sample


def _sample(rows: Rows, *, model: int, share: float) -> Any:
    random = np.random.default_rng([SEED, len(rows.labels)])
    return random.choice(rows.scores[model], size=math.ceil(share * len(rows.labels)), replace=False)


def _cut(rows: Rows, *, borders: Any, model: int) -> Iterator[tuple[int, Ties]]:
    ties = _ties_of(rows, model)
    descending = -ties.scores
    number = np.searchsorted(-borders, descending, side="left")
    number = number + np.searchsorted(-borders, descending, side="right")
    for each in np.unique(number):
        inside = number == each
        yield int(each), Ties(*(column[inside] for column in ties))


def _itself(number: int) -> int:
    return number


def _merged(parts: Iterable[tuple[int, Ties]]) -> Iterator[Ties]:
    yield merge_ties(ties for _, ties in parts)
