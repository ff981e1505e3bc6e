"""Keeps rows of data out of Spark's logs while the input is parsed.

Spark's LibSVM reader quotes the line, or the word, at which it stopped in its exception, and executors and driver log
that exception several times. What the user needs of it is said once, in ``failure.json``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.sql import SparkSession

LOG4J = "org.apache.logging.log4j"
ON_EXECUTORS = ("org.apache.spark.executor.Executor", "org.apache.spark.storage.BlockManager")
ON_DRIVER = (
    *ON_EXECUTORS,
    "org.apache.spark.scheduler.DAGScheduler",
    "org.apache.spark.scheduler.TaskSchedulerImpl",
    "org.apache.spark.scheduler.TaskSetManager",
)


@contextmanager
def rows_kept_out_of_logs(spark: SparkSession) -> Iterator[None]:
    """Silence the loggers that would quote a bad line: the driver's inside the block, the executors' from here on."""
    log4j: Any = spark._jvm.org.apache.logging.log4j  # noqa: SLF001 - the bridge to the JVM has no public name
    levels = {name: str(log4j.LogManager.getLogger(name).getLevel()) for name in ON_DRIVER}
    for name in ON_DRIVER:
        log4j.core.config.Configurator.setLevel(name, "OFF")
    if not spark.sparkContext.master.startswith("local["):
        _silence_executors(spark)
    try:
        yield
    finally:
        for name, level in levels.items():
            log4j.core.config.Configurator.setLevel(name, level)


def _silence_executors(spark: SparkSession) -> None:
    """Call log4j in the executors' JVMs; the driver still logs, later on, that a task of theirs failed."""
    tasks = 2 * spark.sparkContext.defaultParallelism
    calls = [
        f"java_method('{LOG4J}.core.config.Configurator', 'setLevel', '{name}', 'OFF')"
        for name in ON_EXECUTORS
    ]
    spark.range(0, tasks, 1, tasks).selectExpr(*calls).collect()
