"""Exactly the listed objects → a cached table of (label, features) with classes 0.0 and 1.0, checked in one pass.

The pass that fills the cache also sums every feature: that is the profile of the split, and a NaN or an infinity in
any row shows in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
from py4j.protocol import Py4JJavaError
from pyspark import StorageLevel
from pyspark.ml.stat import Summarizer
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's own documentation has it

from training_job.failures import JobError, Place
from training_job.malformed import find_malformed_lines
from training_job.storage import java_class

if TYPE_CHECKING:
    from training_job.inputs import InputObject
    from training_job.request import Request
    from training_job.session import Job
    from training_job.storage import Storage

NO_ROWS_ERROR = "Nothing has been added to this summarizer"
PARSE_ERROR = re.compile(r"NumberFormatException|requirement failed")


@dataclass(frozen=True)
class FeatureProfile:
    """Per feature over all rows; arrays of length ``num_features``, indices from 0."""

    non_zeros: Any
    sums: Any
    sums_of_squares: Any


@dataclass(frozen=True)
class Split:
    """One split of the data, cached. Train and validation have rows of both classes; test may have one class only.

    :param rows: DataFrame of (label: double in {0, 1}, features: vector), with ``weight`` (double above 0) and
        ``group`` (long) behind them where ``weight_column`` and ``group_column`` name them
    :param row_count: rows as they are, without weights; ``positives`` likewise
    :param profile: sums over rows as they are
    :param weight_column: ``weight`` where rows weigh differently, by a column of the input or because the split came
        with negatives left out (each that was kept then weighs 1/r); None: every row weighs 1
    :param group_column: ``group`` where the request has a group key; None: rows are independent
    :param weighted_rows: sum of the weights; ``weighted_positives`` likewise
    """

    name: str
    rows: DataFrame
    row_count: int
    positives: int
    profile: FeatureProfile
    weight_column: Optional[str]
    group_column: Optional[str]
    weighted_rows: float
    weighted_positives: float

    @property
    def base_rate(self) -> float:
        """Weighted share of the positives."""
        return self.weighted_positives / self.weighted_rows


def load(job: Job, split_name: str) -> Split:
    """Load the split; raises JobError where the objects or their rows are not what the request says."""
    refuse_what_is_not_built(job.request)
    objects: tuple[InputObject, ...] = getattr(job.request.inputs, split_name)
    check_objects(job.storage, objects)
    if not any(each.size for each in objects):
        raise _no_rows(split_name)
    raw = _read_libsvm(job.spark, objects, job.request.num_features)
    mapped = _mapped(raw, job.request.label_mapping)
    negatives_kept = job.request.inputs.negatives_kept.get(split_name, 1.0)
    weighted = negatives_kept < 1
    if weighted:
        mapped = mapped.withColumn("weight", F.when(F.col("label") == 0, 1 / negatives_kept).otherwise(1.0))
    rows = mapped.persist(StorageLevel.MEMORY_AND_DISK)
    totals = _totals(job, split_name, rows)
    _check_labels(totals, split_name, job.request.label_mapping)
    positives, negatives = int(totals["positives"]), totals["row_count"] - int(totals["positives"])
    return Split(
        name=split_name,
        rows=rows.drop("raw_label"),
        row_count=totals["row_count"],
        positives=positives,
        profile=_profile(totals),
        weight_column="weight" if weighted else None,
        group_column=None,
        weighted_rows=positives + negatives / negatives_kept,
        weighted_positives=positives,
    )


def refuse_what_is_not_built(request: Request) -> None:
    """Raise ``bad_request`` for what the contract has and this version of the job cannot do yet."""
    inputs = request.inputs
    for what, is_asked in (
        ("inputs.format parquet", inputs.format == "parquet"),
        ("inputs.split", inputs.split is not None),
        ("inputs.max_bad_lines", inputs.max_bad_lines > 0),
        ("group_key", request.group_key is not None),
    ):
        if is_asked:
            raise JobError("bad_request", f"request.json: {what} is not built yet")


def load_validation(job: Job) -> Split | None:
    """Load the validation split, if the request has one of its own."""
    return load(job, "validation") if job.request.inputs.validation is not None else None


def check_objects(storage: Storage, objects: tuple[InputObject, ...]) -> None:
    """Raise ``input_changed`` unless each object is there with its size; one listing for each folder."""
    folders: dict[str, dict[str, int]] = {}
    for each in objects:
        folder, _, name = each.uri.rpartition("/")
        if folder not in folders:
            folders[folder] = _sizes_in(storage, folder)
        found = folders[folder].get(name)
        if found != each.size:
            state = "is gone" if found is None else f"now has {found} bytes"
            raise JobError(
                "input_changed",
                f"{each.uri} {state}; it had {each.size} bytes when the training was planned",
                place=Place(each.uri),
            )


def _sizes_in(storage: Storage, folder: str) -> dict[str, int]:
    try:
        return storage.sizes_in(folder + "/")
    except Py4JJavaError as error:
        reason = str(error.java_exception.getMessage())
        raise JobError(
            "input_unreadable",
            f"{folder}/ cannot be listed: {java_class(error)}: {reason}",
            place=Place(folder + "/"),
        ) from None


def _read_libsvm(spark: SparkSession, objects: tuple[InputObject, ...], num_features: int) -> DataFrame:
    reader = spark.read.format("libsvm").option("numFeatures", num_features)
    # the objects are listed by name: a bracket in a key is a bracket
    return reader.option("__globPaths__", "false").load([each.uri for each in objects])


def _mapped(raw: DataFrame, label_mapping: dict[str, int]) -> DataFrame:
    """Add the class as ``label``; a label without one keeps null there and itself in ``raw_label``."""
    class_of = F.lit(None).cast("double")
    for label, number in label_mapping.items():
        class_of = F.when(F.col("label") == float(label), float(number)).otherwise(class_of)
    return raw.select(class_of.alias("label"), F.col("label").alias("raw_label"), "features")


def _totals(job: Job, split_name: str, rows: DataFrame) -> Row:
    """One row of sums over the split; this is the pass that parses the text and fills the cache."""
    summary = Summarizer.metrics("numNonZeros", "sum", "normL2").summary(F.col("features"))
    try:
        totals = rows.agg(
            F.count("*").alias("row_count"),
            F.sum("label").alias("positives"),
            F.min(F.when(F.col("label").isNull(), F.col("raw_label"))).alias("unmapped"),
            summary.alias("summary"),
        ).first()
    except Py4JJavaError as error:
        if NO_ROWS_ERROR in str(error):
            raise _no_rows(split_name) from None
        _fail_if_malformed(job, split_name)
        if PARSE_ERROR.search(str(error)):
            # the reader refused what looks well-formed; its words quote the line and must not reach a log
            sentence = f"Spark's LibSVM reader refused a line of the {split_name} split"
            raise JobError("malformed_input", sentence) from None
        raise
    if not np.isfinite(totals["summary"]["normL2"].toArray()).all():
        _fail_if_malformed(job, split_name)
    return totals


def _profile(totals: Row) -> FeatureProfile:
    summary = totals["summary"]
    return FeatureProfile(
        non_zeros=summary["numNonZeros"].toArray(),
        sums=summary["sum"].toArray(),
        sums_of_squares=summary["normL2"].toArray() ** 2,
    )


def _no_rows(split_name: str) -> JobError:
    return JobError("no_rows", f"the {split_name} split holds no rows")


def _check_labels(totals: Row, split_name: str, label_mapping: dict[str, int]) -> None:
    if totals["unmapped"] is not None:
        known = ", ".join(sorted(label_mapping))
        raise JobError(
            "label_not_mapped",
            f"the {split_name} split holds the label {totals['unmapped']:g}; the label mapping knows {known}",
        )
    positives = int(totals["positives"])
    if positives in (0, totals["row_count"]):
        only = 1 if positives else 0
        raise JobError(
            "one_class",
            f"all {totals['row_count']} rows of the {split_name} split are of class {only}; both are needed",
        )


def _fail_if_malformed(job: Job, split_name: str) -> None:
    objects: tuple[InputObject, ...] = getattr(job.request.inputs, split_name)
    found = find_malformed_lines(job.spark, [each.uri for each in objects], job.request.num_features)
    if found:
        first = found[0]
        raise JobError(
            "malformed_input",
            f"{first.file}, line {first.line}: {first.reason}; expected '<label> <index>:<value> …' with indices "
            f"ascending from 1 to {job.request.num_features}",
            place=Place(first.file, first.line),
            lines=tuple(each.text for each in found),
        ) from None
