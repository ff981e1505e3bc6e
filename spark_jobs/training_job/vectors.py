"""Columns that are laid out as Spark lays out its vectors → columns of vectors, without a row going through Python.

Spark SQL can make the parts of a sparse vector, and has no function that puts them together; a Python one would take
several times as long as parsing does. But a vector is stored as a struct, so that giving the column its type is enough.
"""

from __future__ import annotations

from pyspark.ml.linalg import VectorUDT
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's own documentation has it
from pyspark.sql.types import StructField, StructType

SPARSE, DENSE = 0, 1
NOT_STREAMING = False


def sparse_vector(num_features: int, indices: Column, values: Column) -> Column:
    """The struct of a sparse vector; zeros are left out, so that equal rows are equal whatever is written of them.

    :param indices: array of int, ascending from 0
    :param values: array of double, as long
    """
    has_zeros = F.array_contains(values, F.lit(0.0))
    kept = F.filter(indices, lambda _, place: values[place] != 0)
    return _struct(
        F.lit(SPARSE),
        F.lit(num_features),
        F.when(has_zeros, kept).otherwise(indices),
        F.when(has_zeros, F.filter(values, lambda value: value != 0)).otherwise(values),
    )


def empty_vector(num_features: int) -> Column:
    """The struct of a vector of zeros."""
    return sparse_vector(num_features, F.array().cast("array<int>"), F.array().cast("array<double>"))


def with_vectors(rows: DataFrame) -> DataFrame:
    """The same rows, whose ``features``, structs of a vector's parts, are vectors."""
    spark = rows.sparkSession
    fields = [
        StructField(each.name, VectorUDT() if each.name == "features" else each.dataType)
        for each in rows.schema.fields
    ]
    # the bridge to the JVM has no public name
    java_rows = rows._jdf.queryExecution().toRdd()  # noqa: SLF001
    java_schema = spark._jvm.org.apache.spark.sql.types.DataType.fromJson(StructType(fields).json())  # noqa: SLF001
    session = spark._jsparkSession  # noqa: SLF001
    return DataFrame(session.internalCreateDataFrame(java_rows, java_schema, NOT_STREAMING), spark)


def _struct(kind: Column, size: Column, indices: Column, values: Column) -> Column:
    return F.struct(
        kind.cast("tinyint").alias("type"),
        size.cast("int").alias("size"),
        indices.alias("indices"),
        values.alias("values"),
    )
