"""A fitted model and rows → the raw score of each row, the same way for what was just learned and for a champion."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's own documentation has it

# kind of score → the column of Spark's whose second element it is
_VECTORS = {"probability": "probability", "margin": "rawPrediction"}


def score_rows(
    spark_model: Any, rows: DataFrame, *, score_kind: str, column: str = "score", keep_features: bool = False
) -> DataFrame:
    """``rows`` with its features replaced by a column of scores, doubles; every other column stays.

    Calls the JVM's vector_to_array, since Python's stands in a module that imports pandas.

    :param score_kind: ``probability`` (of class 1) or ``margin``
    :param keep_features: leave them in place, for a further model
    """
    others = [name for name in rows.columns if keep_features or name != "features"]
    scored = spark_model.transform(rows)
    java_rows = scored._jdf  # noqa: SLF001 - the bridge to the JVM has no public name
    functions = rows.sparkSession._jvm.org.apache.spark.ml.functions  # noqa: SLF001
    as_array = functions.vector_to_array(java_rows.col(_VECTORS[score_kind]), "float64")
    with_array = DataFrame(java_rows.withColumn("score_by_class", as_array), rows.sparkSession)
    return with_array.select(F.col("score_by_class")[1].alias(column), *others)
