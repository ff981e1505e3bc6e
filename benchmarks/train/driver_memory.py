"""How much memory the driver of a running spark-submit holds, executors apart from it left out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    :raises RuntimeError: at the end of the block, where no such process was seen
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
    if not peak.mb:
        raise RuntimeError(f"no memory of process {pid} was ever seen")


def _resident_mb(pid: int) -> float:
    found = 0
    # a process that has just ended; or, for as long as it lives, what the shell that became the JVM left behind
    with suppress(psutil.NoSuchProcess):
        jvm = psutil.Process(pid)
        found += jvm.memory_info().rss
        for each in jvm.children():
            with suppress(psutil.NoSuchProcess):
                if EXECUTOR not in each.cmdline():
                    found += each.memory_info().rss
    return found / (1 << 20)
