"""How much memory the driver of a running spark-submit holds, executors apart from it left out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

SAMPLED_EVERY_SECONDS = 1.0
EXECUTOR = "org.apache.spark.executor.CoarseGrainedExecutorBackend"
# what YARN grants a driver with a heap of 1 GB, and ends it beyond: the heap and 384 MB
GRANTED_MB = 1024 + 384


@dataclass
class Peak:
    """
    :ivar mb: the most that the driver's JVM and its Python held together, as sampled
    """

    mb: float = 0.0


@contextmanager
def driver_memory(pid: int) -> Iterator[Peak]:
    """Watch the driver inside the block.

    :param pid: of spark-submit, which becomes the driver's JVM
    """
    peak, over = Peak(), threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLED_EVERY_SECONDS):
            peak.mb = max(peak.mb, _resident_mb(pid))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield peak
    finally:
        over.set()
        watching.join()


def _resident_mb(pid: int) -> float:
    try:
        jvm = psutil.Process(pid)
        processes = [jvm, *(each for each in jvm.children() if EXECUTOR not in each.cmdline())]
        return float(sum(each.memory_info().rss for each in processes)) / (1 << 20)
    # one of them has just ended
    except psutil.NoSuchProcess:
        return 0.0
