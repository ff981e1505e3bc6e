"""Keeps rows of data out of Spark's logs while Spark's own LibSVM reader parses the input.

That reader quotes the line, or the word, at which it stopped in its exception; Spark logs that exception several times
and writes it into the event log, from which the history server shows it. What the user needs of it is said once, in
``failure.json``. Only for a Spark of one process: the loggers of other processes are out of reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.sql import SparkSession

QUOTING = (
    "org.apache.spark.executor.Executor",
    "org.apache.spark.scheduler.DAGScheduler",
    "org.apache.spark.scheduler.TaskSchedulerImpl",
    "org.apache.spark.scheduler.TaskSetManager",
    "org.apache.spark.storage.BlockManager",
)

EMPTIED_MILLISECONDS = 60_000


@contextmanager
def rows_kept_out_of_logs(spark: SparkSession) -> Iterator[None]:
    """Silence the loggers that would quote a bad line, and write nothing into the event log, inside the block."""
    # the bridge to the JVM has no public name
    log4j: Any = spark._jvm.org.apache.logging.log4j  # noqa: SLF001
    manager, configurator = log4j.LogManager, log4j.core.config.Configurator
    levels = {name: str(manager.getLogger(name).getLevel()) for name in QUOTING}
    for name in QUOTING:
        configurator.setLevel(name, "OFF")
    context = spark._jsc.sc()  # noqa: SLF001
    event_log, bus = context.eventLogger(), context.listenerBus()
    if event_log.isDefined():
        bus.removeListener(event_log.get())
    try:
        yield
    finally:
        if event_log.isDefined():
            # what happened inside must not reach the log late
            bus.waitUntilEmpty(EMPTIED_MILLISECONDS)
            bus.addToEventLogQueue(event_log.get())
        for name, level in levels.items():
            configurator.setLevel(name, level)
