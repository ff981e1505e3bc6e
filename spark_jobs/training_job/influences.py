"""What each row adds to a figure, to first order: its influence; and the sums of their products over all rows.

The variance of a figure is the sum of the squares of its influences, and that of a difference between two models the
sum of the squares of the differences, row by row: that is what makes it paired. Rows of one group are not independent,
so their influences are added up before they are squared.

A positive's influence on AUC is its placement, the share of the negatives that it stands above, and a negative's the
share of the positives that stand above it (E. DeLong, D. DeLong, D. Clarke-Pearson, Comparing the areas under two or
more correlated receiver operating characteristic curves, Biometrics 44, 1988). They are read off the ranking, in
O(n log n) (X. Sun, W. Xu, Fast implementation of DeLong's algorithm, IEEE Signal Processing Letters 21, 2014).

A weight is how many rows a row stands for where figures are made, and none of it more than one row where independence
is counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import numpy as np

from training_job.cross_fitting import halves_of
from training_job.ranges import logarithmic_losses
from training_job.scored_rows import OnDriver

if TYPE_CHECKING:
    from training_job.deciding import Decision
    from training_job.probabilities import Probabilities
    from training_job.ranking import Ranking
    from training_job.scored_rows import Rows, ScoredRows

ROWS_IN_A_PARTITION = 1_000_000


@dataclass(frozen=True)
class Measured:
    """One model as it was measured on the rows.

    :param halves: for the rows of either half, probabilities to use instead of the decision's; None: the decision's
    """

    ranking: Ranking
    decision: Decision
    halves: Optional[tuple[Probabilities, Probabilities]] = None

    @property
    def log_loss(self) -> float | None:
        """Mean over the rows; None where there are no probabilities."""
        if not self.decision.probabilities.known:
            return None
        return float(self.ranking.sums.losses[0] / self.ranking.whole.rows)

    def probabilities(self, rows: Rows, scores: Any) -> Any:
        """Of each row, (n,)."""
        if self.halves is None:
            return self.decision.probabilities.of(scores)
        return np.where(halves_of(rows) == 0, *(each.of(scores) for each in self.halves))


class Spread(NamedTuple):
    """Sums over groups of the products of their influences; where rows stand alone, each is a group.

    :param products: (3m, 3m) for m models: of the influences on AUC through positives, on AUC through negatives, and on
        the mean logarithmic loss
    :param with_positives: how many groups have a positive; ``with_negatives`` likewise
    """

    products: Any
    groups: int
    with_positives: int
    with_negatives: int


def spread(scored: ScoredRows, models: Sequence[Measured]) -> Spread:
    """The spread of all rows, in one pass over them.

    :param models: in the order of the rows' scores
    """
    if isinstance(scored, OnDriver):
        parts = [_spread_of(scored.rows.groups, influences(scored.rows, models))]
    elif scored.grouped:
        partitions = math.ceil(scored.row_count / ROWS_IN_A_PARTITION)
        cut = scored.blocks.flatMap(partial(_cut_by_group, models=models, partitions=partitions))
        parts = cut.partitionBy(partitions, _itself).mapPartitions(_spread_of_partition).collect()
    else:
        parts = scored.map(partial(_spread_of_block, models=models))
    return Spread(*(sum(field) for field in zip(*parts)))


def influences(rows: Rows, models: Sequence[Measured]) -> Any:
    """(n, 3m + 2): of each row the influences as Spread has them, then whether it is a positive, and a negative."""
    positive = rows.labels * rows.masses
    negative = rows.masses - positive
    columns: list[list[Any]] = [[], [], []]
    for measured, scores in zip(models, rows.scores):
        through_positives, through_negatives = _of_auc(measured.ranking, scores)
        columns[0].append(positive * through_positives)
        columns[1].append(negative * through_negatives)
        columns[2].append(_of_log_loss(measured, rows, scores))
    classes = [positive > 0, negative > 0]
    return np.stack([*columns[0], *columns[1], *columns[2], *classes], axis=1)


def _of_auc(ranking: Ranking, scores: Any) -> tuple[Any, Any]:
    """What a unit of mass at each score adds to AUC as a positive, and as a negative."""
    if ranking.auc is None:
        return np.zeros(len(scores)), np.zeros(len(scores))
    point = len(ranking.scores) - np.searchsorted(ranking.scores[::-1], scores, side="right")
    whole = ranking.whole
    # a tie, or a step between two points, counts half
    below = 1 - _middles(ranking.false_positives)[point] / whole.negatives
    above = _middles(ranking.true_positives)[point] / whole.positives
    return (below - ranking.auc) / whole.positives, (above - ranking.auc) / whole.negatives


def _middles(counts: Any) -> Any:
    return counts - np.diff(counts, prepend=0) / 2


def _of_log_loss(measured: Measured, rows: Rows, scores: Any) -> Any:
    if measured.log_loss is None:
        return np.zeros(len(scores))
    losses = logarithmic_losses(rows.labels, measured.probabilities(rows, scores))
    return rows.masses * (losses - measured.log_loss) / measured.ranking.whole.rows


def _spread_of(groups: Any, of_rows: Any) -> Spread:
    sums = of_rows if groups is None else _added_up(groups, of_rows)[1]
    figures = sums[:, :-2]
    classes = (sums[:, -2:] > 0).sum(axis=0)
    return Spread(figures.T @ figures, len(sums), int(classes[0]), int(classes[1]))


def _added_up(groups: Any, of_rows: Any) -> tuple[Any, Any]:
    """Distinct groups (g,) and the sums over their rows (g, columns)."""
    distinct, number = np.unique(groups, return_inverse=True)
    sums = [np.bincount(number, column, minlength=len(distinct)) for column in of_rows.T]
    return distinct, np.stack(sums, axis=1)


def _spread_of_block(rows: Rows, *, models: Sequence[Measured]) -> Spread:
    return _spread_of(None, influences(rows, models))


def _cut_by_group(
    rows: Rows, *, models: Sequence[Measured], partitions: int
) -> Iterator[tuple[int, tuple[Any, Any]]]:
    groups, sums = _added_up(rows.groups, influences(rows, models))
    number = groups % partitions
    for each in np.unique(number):
        yield int(each), (groups[number == each], sums[number == each])


def _spread_of_partition(parts: Iterable[tuple[int, tuple[Any, Any]]]) -> Iterator[Spread]:
    sums = [part for _, part in parts]
    if sums:
        yield _spread_of(
            np.concatenate([each[0] for each in sums]), np.concatenate([each[1] for each in sums])
        )


def _itself(number: int) -> int:
    return number
