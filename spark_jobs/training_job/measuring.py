"""Rows of a source → a cached table of them, and the sums of each split: one pass, quick where that can be."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple, Optional

from pyspark import StorageLevel
from pyspark.ml.stat import Summarizer
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's own documentation has it

from training_job.libsvm_text import LARGEST_VALUE
from training_job.quick_libsvm import is_one_process, look_plain, read_quickly
from training_job.sources import REFUSED, Source
from training_job.unreadable import SPARK_ERRORS, explained

# what stands in no row that Spark's own reader gives; not as SQL, whose parser a cold JVM is slow to load and compile
ALL_GOOD = True

logger = logging.getLogger(__name__)


class Measured(NamedTuple):
    """
    :param rows: cached, as :meth:`Source.prepare` has them
    :param totals: name of each split there are rows of, or REFUSED → its sums
    """

    rows: DataFrame
    totals: dict[str, Row]

    def rows_of(self, name: str) -> DataFrame:
        """The split's rows without what is only needed to find them."""
        if self.rows.columns == ["label", "features"]:
            return self.rows
        rows = self.rows if set(self.totals) == {name} else self.rows.where(F.col("part") == name)
        return rows.drop("part", "refused_file")

    def refused_files(self, most: int) -> list[Row]:
        """The first files with rows that cannot be taken."""
        refused = self.rows.where(F.col("part") == REFUSED).select("refused_file").distinct()
        files: list[Row] = refused.orderBy("refused_file").limit(most).collect()
        return files


def may_be_quick(source: Source) -> bool:
    """Whether Spark's own reader may try."""
    request = source.job.request
    return (
        request.inputs.format == "libsvm"
        and request.group_key is None
        and any(each.size for each in source.objects)
        and is_one_process(source.job.spark)
        and look_plain(source.job.storage, source.objects)
    )


def measure_quickly(source: Source) -> Optional[Measured]:
    """What Spark's own reader makes of the objects; None where it stumbles, or finds what must be looked at closely."""
    raw = read_quickly(source.job.spark, source.objects, source.job.request.num_features)
    if source.shares is None and not source.weighted:
        # each further step of a table costs a cold JVM tenths of a second; a label without a class stays null
        rows = raw.select(source.mapped("label").alias("label"), "features")
    else:
        raw = raw.select(
            F.col("label").alias("raw_label"),
            "features",
            F.lit(ALL_GOOD).alias("is_good"),
            F.lit("").alias("file"),
        )
        rows = source.prepare(raw).drop("refused_file")
    rows = rows.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        totals = _totals(rows, source)
    except SPARK_ERRORS:
        # its words quote the line
        logger.info(
            "Spark's own reader stumbled over the %s rows; they are read again, line by line", source.name
        )
        totals = {}
    if not totals or not all(_is_harmless(each) for each in totals.values()) or REFUSED in totals:
        rows.unpersist()
        return None
    return Measured(rows, totals)


def measure(source: Source) -> Measured:
    """What the strict reader makes of the objects; raises JobError where one cannot be read at all."""
    if not any(each.size for each in source.objects):
        return Measured(source.job.spark.createDataFrame([], "part string"), {})
    try:
        rows = source.prepare(source.read()).persist(StorageLevel.MEMORY_AND_DISK)
        return Measured(rows, _totals(rows, source))
    except SPARK_ERRORS as error:
        form = source.job.request.inputs.format
        raise explained(source.job.spark, source.uris, form, error, schema=source.schema) from None


def _totals(rows: DataFrame, source: Source) -> dict[str, Row]:
    """Sums over each split; this is the pass that parses the input and fills the cache."""
    aggregates: list[Any] = [
        F.count("*").alias("row_count"),
        F.sum("label").alias("positives"),
        F.count("label").alias("labelled"),
        Summarizer.metrics("numNonZeros", "sum", "normL2").summary(F.col("features")).alias("summary"),
    ]
    if source.weighted:
        aggregates += [
            F.sum("weight").alias("weighted_rows"),
            F.sum(F.col("weight") * F.col("label")).alias("weighted_positives"),
        ]
    if "part" in rows.columns:
        return {row["part"]: row for row in rows.groupBy("part").agg(*aggregates).collect()}
    return {source.name: rows.agg(*aggregates).first()}


def _is_harmless(totals: Row) -> bool:
    """Whether every label has a class, and no value can be beyond bounds; a NaN is below nothing."""
    return bool(
        totals["labelled"] == totals["row_count"]
        and (totals["summary"]["normL2"].toArray() <= LARGEST_VALUE).all()
    )
