"""Scored rows to measure on: drawn, and put on the driver or on executors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from pyspark.sql import SparkSession

from training_job import ranking, scored_rows
from training_job.deciding import Decision
from training_job.probabilities import Probabilities
from training_job.scored_rows import OnDriver, OnExecutors, Rows, ScoredRows, gather

THRESHOLD = 0.3
DECISION = Decision(Probabilities("probability"), threshold=THRESHOLD)
MARGINS = Decision(Probabilities("margin"), threshold=THRESHOLD)


def draw(kind: str = "continuous", *, rows: int = 3000, models: int = 1) -> Rows:
    """Labels, a fifth of them 1, and scores that rank them well; of further models about as well."""
    random = np.random.default_rng(5)
    labels = (random.random(rows) < 0.2).astype(float)
    shared = random.normal(loc=labels * 1.5 - 1, scale=1.0)
    scores = 1 / (1 + np.exp(-(shared + random.normal(scale=0.6, size=(models, rows)))))
    if kind == "many ties":
        scores = np.round(scores, 1)
    if kind == "one score":
        scores = np.full_like(scores, THRESHOLD)
    if kind == "certain":
        scores = np.where(scores > 0.5, 1.0, 0.0)
    return Rows(labels, scores)


def weighted(rows: Rows) -> Rows:
    """Weights as down-sampled negatives have them, and a few odd ones; some 0."""
    random = np.random.default_rng(6)
    weights = np.where(rows.labels == 1, 1.0, 10.0) * random.choice([0.0, 0.3, 1.0, 2.5], len(rows.labels))
    return rows._replace(weights=weights)


def grouped(rows: Rows, *, size: int) -> Rows:
    """Each ``size`` rows are one group's; the groups' numbers are of both signs and far apart."""
    numbers = np.arange(len(rows.labels)) // size
    return rows._replace(groups=(numbers - 50) * 1_000_003)


def on_driver(rows: Rows) -> OnDriver:
    return OnDriver(rows)


@contextmanager
def on_executors(spark: SparkSession, rows: Rows) -> Iterator[OnExecutors]:
    """The same rows by way of a DataFrame, in several blocks and ranges."""
    scores = [f"score_{n}" for n in range(len(rows.scores))]
    columns: dict[str, Any] = {"label": rows.labels, **dict(zip(scores, rows.scores, strict=True))}
    if rows.weights is not None:
        columns["weight"] = rows.weights
    if rows.groups is not None:
        columns["group"] = rows.groups
    table = list(zip(*(column.tolist() for column in columns.values()), strict=True))
    frame = spark.createDataFrame(table, list(columns)).repartition(3)
    scored = gathered(frame, rows, scores)
    assert isinstance(scored, OnExecutors)
    try:
        yield scored
    finally:
        scored.release()


def gathered(frame: Any, rows: Rows, scores: list[str]) -> ScoredRows:
    return gather(
        frame,
        row_count=len(rows.labels),
        score_columns=scores,
        weight_column=None if rows.weights is None else "weight",
        group_column=None if rows.groups is None else "group",
    )


def make_executors_hold_few_rows(patch: Any) -> None:
    """Let a few thousand rows take the way of millions; blocks stay as they are made on executors."""
    patch.setattr(scored_rows, "VALUES_ON_DRIVER", 0)
    patch.setattr(ranking, "SCORES_IN_A_RANGE", 700)
