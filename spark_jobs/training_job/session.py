"""Around the steps of the job: the Spark session, the request, the deadline, and the one way to fail.

Imports no numpy, since one of the failures it reports is that there is none.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from training_job.ending import Ending
from training_job.failures import JobError
from training_job.request import Request, parse_request
from training_job.storage import Storage, java_class
from training_job.training_folder import TrainingFolder

if TYPE_CHECKING:
    Steps = Callable[["Job"], None]

logger = logging.getLogger(__name__)

# of the JVM, of Python, of YARN; 137 is a kill by the system, 52 is Spark's own exit for want of memory
OUT_OF_MEMORY = re.compile(
    r"OutOfMemoryError|MemoryError\b|killed by YARN for exceeding|exit(ed with)? (code|status):?( is)? (137|52)\b",
    re.IGNORECASE,
)
NO_NUMPY = re.compile(r"No module named '?numpy")


class Job:
    """What the steps of one training share.

    :ivar durations_seconds: by step, as far as the job has come
    """

    def __init__(self, spark: SparkSession, storage: Storage, request: Request, ending: Ending) -> None:
        self.spark = spark
        self.request = request
        self.storage = storage
        self._folder = TrainingFolder(storage, request, before_writing=ending.stand_by)
        self.durations_seconds: dict[str, float] = {}
        self._ending = ending
        self._started = time.monotonic()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step and log it."""
        started = time.monotonic()
        yield
        self.durations_seconds[name] = round(time.monotonic() - started, 3)
        self.durations_seconds["total"] = round(time.monotonic() - self._started, 3)
        logger.info("%s took %.1f s", name, self.durations_seconds[name])

    def begin_saving(self) -> TrainingFolder:
        """The folder to write into; from here on a failure takes back what was written."""
        self._ending.saving()
        return self._folder

    def succeed(self) -> None:
        """Write the manifest."""
        self._ending.succeed(self._folder.write_manifest)


def run_job(request_uri: str, steps: Steps) -> int:
    """Run the steps for the request in a Spark session of their own; returns the exit code of the process."""
    spark = SparkSession.builder.appName("train_evaluate").getOrCreate()
    try:
        return run_request(spark, request_uri, steps)
    finally:
        spark.stop()


def run_request(spark: SparkSession, request_uri: str, steps: Steps) -> int:
    """Run the steps for the request.

    What the job can explain becomes ``failure.json`` and 1; anything else comes up as it is.
    """
    storage = Storage(spark)
    ending = Ending(storage, request_uri.rpartition("/")[0] + "/")
    try:
        request = parse_request(_read(storage, request_uri))
        ending.begin(request)
        require_numpy()
        steps(Job(spark, storage, request, ending))
    except JobError as failure:
        ending.fail(failure)
        return 1
    except Exception as error:
        recognised = recognise(error)
        if recognised is None:
            ending.stand_by()
            raise
        ending.fail(recognised)
        return 1
    return 0


def require_numpy() -> None:
    """Raise ``numpy_missing`` where this Python cannot import numpy."""
    if importlib.util.find_spec("numpy") is None:
        raise JobError(
            "numpy_missing",
            "the driver's Python has no numpy, which Spark ML needs: install it by a bootstrap action, "
            "or point spark.pyspark.python at a Python that has it",
        )


def recognise(error: Exception) -> JobError | None:
    """The failure behind an error of Spark or Python, where it is a known one."""
    text = str(error)
    if isinstance(error, MemoryError) or OUT_OF_MEMORY.search(text):
        return JobError(
            "out_of_memory", "the driver or an executor ran out of memory: take larger instances or more"
        )
    if NO_NUMPY.search(text):
        return JobError("numpy_missing", "the Python of an executor has no numpy; the driver's has")
    return None


def _read(storage: Storage, request_uri: str) -> bytes:
    try:
        return storage.read_bytes(request_uri)
    except Py4JJavaError as error:
        raise JobError("bad_request", f"{request_uri} cannot be read: {java_class(error)}") from None
