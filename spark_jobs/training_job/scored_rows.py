"""Scored rows as numpy arrays: few of them on the driver, many in blocks on the executors.

Whatever is measured is a function of such a block, so that there is one way to measure, wherever the rows are. What
comes to the driver is bounded by VALUES_ON_DRIVER.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, TypeVar, Union

import numpy as np
from pyspark import StorageLevel
from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's own documentation has it

if TYPE_CHECKING:
    from pyspark import RDD
    from pyspark.sql import DataFrame

# the executor that puts them together holds some 24 bytes of each, the driver some 40 for a moment
VALUES_ON_DRIVER = 4_000_000
ROWS_IN_A_BLOCK = 50_000
Result = TypeVar("Result")


class Rows(NamedTuple):
    """Some scored rows; arrays of equal length n.

    :param labels: (n,) of 0.0 and 1.0
    :param scores: (models, n); the model that was just learned comes first
    :param weights: (n,); None where every row weighs 1
    :param groups: (n,) of int64, equal for rows that belong together; None where each row stands alone
    """

    labels: Any
    scores: Any
    weights: Optional[Any] = None
    groups: Optional[Any] = None

    @property
    def masses(self) -> Any:
        """What each row weighs, (n,)."""
        return np.ones(len(self.labels)) if self.weights is None else self.weights


@dataclass(frozen=True)
class OnDriver:
    """All rows, here."""

    rows: Rows

    def map(self, function: Callable[[Rows], Result]) -> list[Result]:
        """The function's result for each block of rows: there is one."""
        return [function(self.rows)]

    def release(self) -> None:
        """Nothing is held elsewhere."""


@dataclass(frozen=True)
class OnExecutors:
    """All rows, in cached blocks of at most ROWS_IN_A_BLOCK."""

    blocks: RDD[Rows]
    row_count: int
    grouped: bool

    def map(self, function: Callable[[Rows], Result]) -> list[Result]:
        """The function's result for each block of rows; they come to the driver, so they have to be small."""
        results: list[Result] = self.blocks.map(function).collect()
        return results

    def release(self) -> None:
        """Free the executors' memory and disks."""
        self.blocks.unpersist()


ScoredRows = Union[OnDriver, OnExecutors]


def gather(
    scored: DataFrame,
    *,
    row_count: int,
    score_columns: Sequence[str],
    weight_column: str | None = None,
    group_column: str | None = None,
) -> ScoredRows:
    """The rows of ``scored``: ``label`` and the named columns, all without nulls but for the group.

    :param row_count: how many rows there are; decides where they go
    """
    columns = [F.col("label"), *map(F.col, score_columns)]
    columns += [F.col(weight_column)] if weight_column else []
    # equal groups have equal hashes; two groups of a thousand million share one with a chance of 3 %
    columns += [F.xxhash64(group_column)] if group_column else []
    layout = _Layout(len(score_columns), weighted=bool(weight_column), grouped=bool(group_column))
    if row_count * len(columns) <= VALUES_ON_DRIVER:
        return OnDriver(layout.rows(scored.agg(*map(F.collect_list, columns)).first()))
    blocks = scored.select(*columns).rdd.mapPartitions(layout.blocks)
    return OnExecutors(blocks.persist(StorageLevel.MEMORY_AND_DISK), row_count, layout.grouped)


@dataclass(frozen=True)
class _Layout:
    """Which column is what: label, scores, weight, group."""

    models: int
    weighted: bool
    grouped: bool

    def rows(self, columns: Sequence[Sequence[float]]) -> Rows:
        scores = columns[1 : 1 + self.models]
        return Rows(
            labels=np.array(columns[0], dtype=np.float64),
            scores=np.array(scores, dtype=np.float64),
            weights=np.array(columns[1 + self.models], dtype=np.float64) if self.weighted else None,
            groups=np.array(columns[-1], dtype=np.int64) if self.grouped else None,
        )

    def blocks(self, table: Iterable[Sequence[float]]) -> Iterator[Rows]:
        remaining = iter(table)
        while block := list(islice(remaining, ROWS_IN_A_BLOCK)):
            yield self.rows(list(zip(*block)))
