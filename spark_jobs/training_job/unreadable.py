"""A Spark error while objects were read → which object cannot be read, and why; None of its words are of the data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Optional

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from training_job.failures import JobError, Place

# Spark wraps some of its errors for Python, and not others
SPARK_ERRORS = (Py4JJavaError, PySparkException)

_FAILED_TASK = re.compile(r"Task (\d+) in stage")
_CAUSES = (
    (
        re.compile(r"FileNotFoundException|PATH_NOT_FOUND|FILE_NOT_EXIST|does not exist|NoSuchKey"),
        "input_changed",
        "is gone since it was listed",
    ),
    (
        re.compile(r"AccessDenied|AccessControlException|Permission denied|Forbidden|status code: 403"),
        "input_unreadable",
        "may not be read",
    ),
    (
        re.compile(
            r"is not a Parquet file|CANNOT_READ_FILE_FOOTER|NOT_A_PARQUET|expected magic number", re.I
        ),
        "wrong_format",
        "is not Parquet",
    ),
    (
        re.compile(
            r"SchemaColumnConvertNotSupported|Parquet column cannot be converted|COLUMN_DATA_TYPE_MISMATCH"
        ),
        "wrong_format",
        "has columns of other types than the files before it",
    ),
    (
        re.compile(
            r"EOFException|Unexpected end|not a gzip|BZip2|ZipException|header check|data check|CRC|"
            r"invalid (block|stored|code|distance|length)|bad block|ParquetDecoding|corrupt|Checksum",
            re.I,
        ),
        "corrupt_input",
        "is cut short or damaged",
    ),
)


def explained(
    spark: SparkSession,
    uris: Sequence[str],
    form: str,
    error: Exception,
    *,
    schema: Optional[StructType] = None,
) -> Exception:
    """The failure behind the error, with the object's name; the error itself where it is of another kind.

    :param schema: by which Parquet was read: a file can be fine by its own schema, and not by that of the others
    """
    if _cause(error) is None:
        return error
    for uri in _suspects(spark, uris, form, error):
        try:
            _read_through(spark, uri, form, schema)
        except SPARK_ERRORS as found:
            cause = _cause(found)
            if cause is not None:
                code, what = cause
                return JobError(code, f"{uri} {what}", place=Place(uri))
    return error


def _cause(error: Exception) -> Optional[tuple[str, str]]:
    text = _java_text(error)
    if "OutOfMemoryError" in text:
        return None
    return next(((code, what) for pattern, code, what in _CAUSES if pattern.search(text)), None)


def _java_text(error: Any) -> str:
    """The error with its causes, as far as Java tells them."""
    origin = getattr(error, "_origin", None)
    if origin is None:
        return str(error)
    try:
        return f"{error}\n{origin.getCause() or ''}"
    except AttributeError:
        return str(error)


def _frame(
    spark: SparkSession, uris: Sequence[str], form: str, schema: Optional[StructType] = None
) -> DataFrame:
    reader = spark.read.option("__globPaths__", "false")
    if schema is not None:
        reader = reader.schema(schema)
    return reader.parquet(*uris) if form == "parquet" else reader.text(list(uris))


def _read_through(spark: SparkSession, uri: str, form: str, schema: Optional[StructType]) -> None:
    _frame(spark, [uri], form, schema).selectExpr("count(*)", "max(struct(*)) is null").collect()


def _suspects(spark: SparkSession, uris: Sequence[str], form: str, error: Exception) -> Sequence[str]:
    """The objects that the failed task read; all of them where the error does not tell."""
    failed = _FAILED_TASK.search(str(error))
    if failed is None or form == "parquet":
        return uris
    partitions = _frame(spark, uris, form)._jdf.queryExecution().toRdd().partitions()  # noqa: SLF001
    if int(failed.group(1)) >= len(partitions):
        return uris
    names = {each.filePath().toPath().getName() for each in partitions[int(failed.group(1))].files()}
    return [uri for uri in uris if uri.rpartition("/")[2] in names] or uris
