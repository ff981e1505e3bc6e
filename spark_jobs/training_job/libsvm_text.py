"""LibSVM text → rows, strictly, and without an exception: a line that cannot be read is a row that says so.

Spark's own reader throws at the first bad line, and its exception quotes the line into the logs of driver, executors
and the history server. It knows neither tabs nor comments behind a row nor ``qid``, and reads ``1:2:3`` as ``1:2``.
This one is made of Spark SQL's functions, none of which throws. It takes about twice as long to parse.

A line is ``<label> [qid:<group>] <index>:<value> …``; indices ascend from 1; what follows ``#`` is a comment; blanks
and tabs separate. Sources: README of LIBSVM (https://github.com/cjlin1/libsvm), and SVM-rank for ``qid``
(https://www.cs.cornell.edu/people/tj/svm_light/svm_rank.html).
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's own documentation has it

from training_job.vectors import empty_vector, sparse_vector, with_vectors

# some million features in one row; a line is held in memory several times over
LONGEST_LINE_BYTES = 16 << 20
# squares of larger values, which the learner and the profile sum, overflow
LARGEST_VALUE = 1e100

# possessive throughout: Java's other quantifiers recurse, and overflow the stack on a row of many features
_NUMBER = r"[-+]?(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)(?:[eE][-+]?[0-9]++)?+"
_ROW = rf"^{_NUMBER}(?: qid:[^ :]++)?+(?: \+?[0-9]{{1,10}}+:{_NUMBER})*+$"
_INDEX = r" \+?([0-9]+):"
_VALUE = r"[0-9]:([^ ]++)"
_GROUP = r"^[^ ]+ qid:([^ :]++)"
_UNUSUAL = "[#\t\x0b\f\r]|  "
_BLANKS = "[ \t\x0b\f\r]+"


def read_lines(spark: SparkSession, uris: Sequence[str]) -> DataFrame:
    """(value, file, start of the block of the file) of each line."""
    # the objects are listed by name: a bracket in a key is a bracket
    text = spark.read.option("__globPaths__", "false").text(list(uris))
    return text.select(
        "value",
        F.col("_metadata.file_path").alias("file"),
        F.col("_metadata.file_block_start").alias("start"),
    )


def read_libsvm(spark: SparkSession, uris: Sequence[str], num_features: int, *, grouped: bool) -> DataFrame:
    """(raw_label, features, is_good, file, [group]) of each row.

    A row that is not good cannot be read; only its ``file`` means something.

    :param grouped: ``group``, a hash of the row's ``qid``, is wanted, so that each row must have one
    """
    rows = read_lines(spark, uris).select("file", _without_noise(F.col("value")).alias("text"))
    rows = rows.where("text is null or text != ''")
    rows = rows.withColumn("is_row", holds(F.col("text").rlike(_ROW)))
    found = {
        "raw_label": F.substring_index("text", " ", 1),
        "indices": F.regexp_extract_all("text", F.lit(_INDEX), 1),
        "values": F.regexp_extract_all("text", F.lit(_VALUE), 1),
        "qid": F.regexp_extract("text", _GROUP, 1),
    }
    rows = rows.select("file", *(F.when(F.col("is_row"), part).alias(name) for name, part in found.items()))
    rows = rows.select(
        "file",
        F.expr("try_cast(raw_label as double)").alias("raw_label"),
        F.expr("try_cast(indices as array<int>)").alias("indices"),
        F.expr("try_cast(values as array<double>)").alias("values"),
        "qid",
    )
    good = are_indices("indices", 1, num_features) & are_values("values")
    if grouped:
        good &= F.col("qid") != ""
    rows = rows.withColumn("is_good", holds(good))
    vector = sparse_vector(num_features, F.transform("indices", lambda index: index - 1), F.col("values"))
    columns = [
        "raw_label",
        F.when(F.col("is_good"), vector).otherwise(empty_vector(num_features)).alias("features"),
        "is_good",
        "file",
    ]
    if grouped:
        columns.append(F.xxhash64("qid").alias("group"))
    return with_vectors(rows.select(*columns))


def holds(condition: Column) -> Column:
    """Whether it is true; where it is null, it is not."""
    return F.coalesce(condition, F.expr("false"))


def are_indices(column: str, lowest: int, highest: int) -> Column:
    """Whether an array of int is ascending, without repetition, and within bounds; null where it is null."""
    indices = F.col(column)
    within = (indices[0] >= lowest) & (F.element_at(indices, -1) <= highest)
    # a null sorts before all numbers, so that it would be the first
    return (F.size(indices) == 0) | (within & (F.sort_array(F.array_distinct(indices)) == indices))


def are_values(column: str) -> Column:
    """Whether an array of double holds finite numbers that can be squared and summed, and no null."""
    values = F.col(column)
    # NaN is above all numbers in Spark's order
    within = (F.array_min(values) >= -LARGEST_VALUE) & (F.array_max(values) <= LARGEST_VALUE)
    return (F.size(values) == 0) | (within & (F.size(F.array_compact(values)) == F.size(values)))


def _without_noise(line: Column) -> Column:
    """The row of a line with single blanks and nothing else; null for a line that is too long to look at."""
    cleaned = F.trim(F.regexp_replace(F.substring_index(line, "#", 1), _BLANKS, " "))
    text = F.when(line.rlike(_UNUSUAL), cleaned).otherwise(F.trim(line))
    return F.when(F.octet_length(line) <= LONGEST_LINE_BYTES, text)
