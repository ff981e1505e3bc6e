"""Parquet files → rows: ``label``, and ``features`` (Spark's vectors) or ``indices`` from 0 and ``values``.

``weight`` and the group key's column are read where there are any. Like the reader of text, it throws at no row: one
that cannot be taken says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

from pyspark.ml.linalg import VectorUDT
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's own documentation has it
from pyspark.sql.types import ArrayType, AtomicType, BooleanType, NumericType, StructField, StructType

from training_job.failures import JobError, Place
from training_job.libsvm_text import are_indices, are_values, holds
from training_job.vectors import DENSE, empty_vector, sparse_vector, with_vectors

EXPECTED = "label, and either features (a vector of Spark ML) or indices and values"


class Layout(NamedTuple):
    """The columns to read, with the types to read them by."""

    schema: StructType
    has_vectors: bool
    has_weight: bool


def layout_of(spark: SparkSession, uris: Sequence[str], group_key: Optional[str]) -> Layout:
    """The layout of the files; raises ``wrong_format`` where it is none that rows can be made of."""
    stored = {each.name: each.dataType for each in _reader(spark).parquet(*uris).schema.fields}
    has_vectors = "features" in stored
    names = ["label", *(["features"] if has_vectors else ["indices", "values"])]
    names += [name for name in ("weight",) if name in stored] + ([group_key] if group_key else [])
    for name in names:
        if name not in stored or not _fits(name, stored[name], group_key):
            kind = stored[name].simpleString() if name in stored else "not there"
            expected = EXPECTED if name != group_key else f"{group_key}, the group key, of a plain type"
            raise JobError(
                "wrong_format",
                f"the column {name} is {kind}; expected {expected}",
                place=Place(uris[0]),
            )
    types = {name: VectorUDT.sqlType() if name == "features" else stored[name] for name in names}
    schema = StructType([StructField(name, types[name]) for name in names])
    return Layout(schema, has_vectors, "weight" in names)


def read_parquet(
    spark: SparkSession, uris: Sequence[str], num_features: int, *, layout: Layout, group_key: Optional[str]
) -> DataFrame:
    """(raw_label, features, is_good, file, [weight], [group]) of each row.

    A row that is not good cannot be taken; only its ``file`` means something.
    """
    rows = _judged(spark, uris, num_features, layout=layout, group_key=group_key)
    good = F.col("reason").isNull()
    columns: list[Any] = [
        "raw_label",
        F.when(good, _vector(layout, num_features)).otherwise(empty_vector(num_features)).alias("features"),
        good.alias("is_good"),
        "file",
    ]
    if layout.has_weight:
        columns.append("weight")
    if group_key:
        columns.append(F.xxhash64("group_key").alias("group"))
    return with_vectors(rows.select(*columns))


def refused_rows(
    spark: SparkSession,
    uris: Sequence[str],
    num_features: int,
    *,
    layout: Layout,
    group_key: Optional[str],
    labels: Sequence[float],
    most: int,
) -> list[Any]:
    """(file, line: row from 1, code, reason, text) of the first rows of the files that cannot be taken."""
    rows = _judged(spark, uris, num_features, layout=layout, group_key=group_key)
    unmapped = F.when(
        ~F.col("raw_label").isin(list(labels)), F.lit("label_not_mapped|the label is not in the mapping")
    )
    rows = rows.withColumn("reason", F.coalesce("reason", unmapped)).where("reason is not null")
    parts = F.split("reason", r"\|")
    refused: list[Any] = (
        rows.orderBy("file", "row")
        .limit(most)
        .select(
            "file", (F.col("row") + 1).alias("line"), parts[0].alias("code"), parts[1].alias("reason"), "text"
        )
        .collect()
    )
    return refused


def _reader(spark: SparkSession) -> Any:
    return spark.read.option("__globPaths__", "false").option("mergeSchema", "false")


def _fits(name: str, kind: Any, group_key: Optional[str]) -> bool:
    if name == "features":
        return isinstance(kind, VectorUDT)
    if name in ("indices", "values"):
        return isinstance(kind, ArrayType) and isinstance(kind.elementType, NumericType)
    if name == group_key:
        # what can be hashed: maps cannot, nor a variant, whose equal values may be stored unequally
        return isinstance(kind, AtomicType) and kind.typeName() != "variant"
    return isinstance(kind, (NumericType, BooleanType))


def _quoted(name: str) -> str:
    """The column of just this name: a dot in it leads into no struct."""
    return "`" + name.replace("`", "``") + "`"


def _judged(
    spark: SparkSession, uris: Sequence[str], num_features: int, *, layout: Layout, group_key: Optional[str]
) -> DataFrame:
    """The rows in one form, each with ``code|reason`` if it cannot be taken."""
    stored = _reader(spark).schema(layout.schema).parquet(*uris)
    parts = (
        ["features.type", "features.size", "features.indices", "features.values"]
        if layout.has_vectors
        else [F.lit(0).alias("type"), F.lit(num_features).alias("size"), "indices", "values"]
    )
    rows = stored.select(
        F.col("label").cast("double").alias("raw_label"),
        *parts,
        *([F.col("weight").cast("double").alias("weight")] if layout.has_weight else []),
        *([F.col(_quoted(group_key)).alias("group_key")] if group_key else []),
        F.col("_metadata.file_path").alias("file"),
        F.col("_metadata.row_index").alias("row"),
        F.substring(F.to_json(F.struct(*map(_quoted, layout.schema.names))), 1, 200).alias("text"),
    )
    rows = rows.withColumn("indices", F.expr("try_cast(indices as array<int>)"))
    rows = rows.withColumn("values", F.expr("try_cast(values as array<double>)"))
    return rows.withColumn("reason", F.coalesce(*_reasons(num_features, layout, grouped=bool(group_key))))


def _reasons(num_features: int, layout: Layout, *, grouped: bool) -> list[Column]:
    dense = F.col("type") == DENSE
    wide = F.when(dense, F.size("values")).otherwise(F.col("size"))
    indexed = are_indices("indices", 0, num_features - 1) & (F.size("indices") == F.size("values"))
    checks = [
        ("malformed_input|the label is missing", F.col("raw_label").isNotNull()),
        ("malformed_input|the features are missing", F.col("values").isNotNull()),
        (f"bad_index|the vector is not of num_features, {num_features}, features", wide == num_features),
        (
            "bad_index|the indices do not ascend from 0 to num_features - 1, "
            f"{num_features - 1}, or are not as many as the values",
            dense | indexed,
        ),
        ("not_finite|a value is missing, not finite, or beyond 1e+100", are_values("values")),
    ]
    if layout.has_weight:
        weight = F.col("weight")
        checks.append(
            ("not_finite|the weight is missing or no number above 0", (weight > 0) & (weight <= 1e100))
        )
    if grouped:
        checks.append(("malformed_input|the group key is missing", F.col("group_key").isNotNull()))
    return [F.when(~holds(fine), F.lit(reason)) for reason, fine in checks]


def _vector(layout: Layout, num_features: int) -> Column:
    sparse = sparse_vector(num_features, F.col("indices"), F.col("values"))
    if not layout.has_vectors:
        return sparse
    return F.when(F.col("type") == DENSE, F.struct("type", "size", "indices", "values")).otherwise(sparse)
