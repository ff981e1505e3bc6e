"""Partitions of train of such a size that the cores of the cluster end each pass over its rows together.

Spark cuts files into partitions of 128 MB. Three of them on two cores make two rounds, the second with an idle core,
and so at each pass over the rows that learning takes. Where one round is enough, Spark cuts evenly by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.sql import SparkSession

LARGEST_PARTITION = "spark.sql.files.maxPartitionBytes"


@contextmanager
def even_rounds(spark: SparkSession, train_bytes: int) -> Iterator[None]:
    """Inside the block, files are cut into partitions that come to whole rounds of tasks."""
    # the JVM knows the setting as a number, whatever unit it was written in
    session: Any = spark._jsparkSession  # noqa: SLF001 - the bridge to the JVM has no public name
    largest = session.sessionState().conf().filesMaxPartitionBytes()
    tasks_in_a_round = spark.sparkContext.defaultParallelism
    rounds = -(-train_bytes // (tasks_in_a_round * largest))
    if rounds > 1:
        spark.conf.set(LARGEST_PARTITION, -(-train_bytes // (tasks_in_a_round * rounds)))
    try:
        yield
    finally:
        spark.conf.set(LARGEST_PARTITION, largest)
