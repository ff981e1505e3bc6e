"""Rows ordered by score, from which every metric, curve and threshold follows exactly.

A few rows are ranked on the driver. Of more, Spark makes ranges of scores, numpy ranks each range on the executors, and
the driver adds up what the ranges say. A score never lies in two ranges, so ties are exact either way. What comes to
the driver is bounded: ROWS_ON_DRIVER rows, or sums and at most MAX_POINTS points of the ranking.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's own documentation has it

MAX_POINTS = 10_000
# up to here, starting Python on the executors takes longer than carrying the rows to the driver (some 200 bytes each)
ROWS_ON_DRIVER = 200_000
ROWS_IN_A_RANGE = 1_000_000
ROWS_IN_A_CHUNK = 50_000
# a score of 0 or 1 that is wrong would cost infinitely much; scikit-learn cuts probabilities off here as well
SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)


class Counts(NamedTuple):
    """How much there is in some rows; ``scores`` counts the distinct ones, ``score_sum`` adds up all."""

    positives: int = 0
    negatives: int = 0
    scores: int = 0
    score_sum: float = 0.0

    def plus(self, other: Counts) -> Counts:
        return Counts(
            self.positives + other.positives,
            self.negatives + other.negatives,
            self.scores + other.scores,
            self.score_sum + other.score_sum,
        )


class Ties(NamedTuple):
    """Rows grouped by score: arrays over the distinct scores, descending."""

    scores: Any
    positives: Any
    negatives: Any


class RankedRange(NamedTuple):
    """What a range of scores adds to the whole.

    :param roc_area: in units of positives times negatives
    :param pr_area: in units of positives
    :param log_loss: summed over the rows
    :param at_threshold: positives and negatives with a score at or above the decision threshold
    :param points: array (n, 4) of score, and of the rows at or above it: positives, negatives, sum of scores
    """

    roc_area: float
    pr_area: float
    log_loss: float
    at_threshold: tuple[int, int]
    points: Any


@dataclass(frozen=True)
class Ranking:
    """All rows by descending score; arrays over points, which are distinct scores.

    :param true_positives: positives with a score at or above the point's; ``false_positives`` likewise
    :param score_sums: sum of the scores at or above the point's
    :param max_error_rows: how far the counts of a score between two points can be from the higher point's; 0 where
        every distinct score is a point
    """

    total: Counts
    roc_area: float
    pr_area: float
    log_loss: float
    at_threshold: tuple[int, int]
    scores: Any
    true_positives: Any
    false_positives: Any
    score_sums: Any
    max_error_rows: int


def rank(scored: DataFrame, *, row_count: int, threshold: float) -> Ranking:
    """Rank the rows of ``scored``, a DataFrame of (score: double, label: double in {0, 1})."""
    if row_count <= ROWS_ON_DRIVER:
        rows = scored.collect()
        return join([count(rows)], lambda before, step: [rank_range(rows, before[0], step, threshold)])
    ranges = scored.repartitionByRange(math.ceil(row_count / ROWS_IN_A_RANGE), F.col("score").desc()).rdd

    def rank_ranges(before: list[Counts], step: int) -> list[RankedRange]:
        ranked: list[RankedRange] = ranges.mapPartitionsWithIndex(
            lambda n, part: [rank_range(part, before[n], step, threshold)]
        ).collect()
        return ranked

    return join(ranges.mapPartitions(lambda part: [count(part)]).collect(), rank_ranges)


def join(counts: list[Counts], rank_ranges: Any) -> Ranking:
    """The ranking of all rows.

    :param counts: of each range, ranges by descending score
    :param rank_ranges: (what lies before each range, step) → RankedRange of each
    """
    before = [Counts()]
    for each in counts:
        before.append(before[-1].plus(each))
    total = before[-1]
    step = step_between_points(total, ranges=len(counts))
    ranked = rank_ranges(before, step)
    points = np.concatenate([each.points for each in ranked])
    return Ranking(
        total=total,
        roc_area=sum(each.roc_area for each in ranked),
        pr_area=sum(each.pr_area for each in ranked),
        log_loss=sum(each.log_loss for each in ranked),
        at_threshold=(
            sum(each.at_threshold[0] for each in ranked),
            sum(each.at_threshold[1] for each in ranked),
        ),
        scores=points[:, 0],
        true_positives=points[:, 1].astype(np.int64),
        false_positives=points[:, 2].astype(np.int64),
        score_sums=points[:, 3],
        max_error_rows=step - 1,
    )


def step_between_points(total: Counts, *, ranges: int) -> int:
    """Every how many rows a score becomes a point; the end of each range is one besides."""
    if total.scores <= MAX_POINTS:
        return 1
    return math.ceil((total.positives + total.negatives) / (MAX_POINTS - ranges))


def count(rows: Iterable[tuple[float, float]]) -> Counts:
    """What is in one range of (score, label)."""
    ties = group_ties(rows)
    every = ties.positives + ties.negatives
    return Counts(
        positives=int(ties.positives.sum()),
        negatives=int(ties.negatives.sum()),
        scores=len(ties.scores),
        score_sum=float((ties.scores * every).sum()),
    )


def group_ties(rows: Iterable[tuple[float, float]]) -> Ties:
    """(score, label) → the distinct scores; memory grows with these, not with the rows."""
    chunks = [_ties_of_chunk(chunk) for chunk in _chunks(rows)]
    if not chunks:
        return Ties(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    scores, group = np.unique(np.concatenate([each.scores for each in chunks]), return_inverse=True)
    positives = np.bincount(group, np.concatenate([each.positives for each in chunks])).astype(np.int64)
    negatives = np.bincount(group, np.concatenate([each.negatives for each in chunks])).astype(np.int64)
    return Ties(scores[::-1], positives[::-1], negatives[::-1])


def _chunks(rows: Iterable[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    remaining = iter(rows)
    while chunk := list(islice(remaining, ROWS_IN_A_CHUNK)):
        yield chunk


def _ties_of_chunk(chunk: list[tuple[float, float]]) -> Ties:
    pairs = np.array(chunk, dtype=np.float64)
    scores, group = np.unique(pairs[:, 0], return_inverse=True)
    positives = np.bincount(group, pairs[:, 1])
    return Ties(scores, positives, np.bincount(group) - positives)


def rank_range(
    rows: Iterable[tuple[float, float]], before: Counts, step: int, threshold: float
) -> RankedRange:
    """Rank one range.

    :param before: what has a higher score than the range
    :param step: keep a score as a point where the rows at or above it pass a multiple of this; 1 keeps all
    """
    ties = group_ties(rows)
    true_positives = before.positives + np.cumsum(ties.positives)
    false_positives = before.negatives + np.cumsum(ties.negatives)
    every = ties.positives + ties.negatives
    score_sums = before.score_sum + np.cumsum(ties.scores * every)
    rows_above = true_positives + false_positives
    kept = rows_above // step > (rows_above - every) // step
    if len(kept):
        # the end of a range is a point, so that the last of all rows is
        kept[-1] = True
    above = ties.scores >= threshold
    return RankedRange(
        roc_area=float((ties.negatives * (true_positives - ties.positives / 2)).sum()),
        pr_area=_pr_area(ties, true_positives, rows_above),
        log_loss=_log_loss(ties),
        at_threshold=(int(ties.positives[above].sum()), int(ties.negatives[above].sum())),
        points=np.stack([ties.scores, true_positives, false_positives, score_sums], axis=1)[kept],
    )


def _pr_area(ties: Ties, true_positives: Any, rows_above: Any) -> float:
    """Trapezoids between the points (recall, precision) of all distinct scores, as Spark's areaUnderPR has it.

    The curve starts at recall 0 with the precision of its first point.
    """
    precision = true_positives / rows_above
    positives_before = true_positives - ties.positives
    rows_before = rows_above - ties.positives - ties.negatives
    precision_before = np.divide(positives_before, rows_before, out=precision.copy(), where=rows_before > 0)
    return float((ties.positives * (precision + precision_before) / 2).sum())


def _log_loss(ties: Ties) -> float:
    probability = np.clip(ties.scores, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return float(-(ties.positives * np.log(probability) + ties.negatives * np.log1p(-probability)).sum())
