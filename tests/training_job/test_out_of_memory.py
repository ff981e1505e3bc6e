"""Running out of memory has its code, wherever it happens that the job can still speak."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.training_job.conftest import JOB_FOLDER, Finished, RequestMaker
from training_job.session import recognise

STEPS = """
import sys
from pyspark.sql import SparkSession
from training_job.session import run_request

def steps(job):
    # 2 GB in one text, on an executor of half a GB
    job.spark.range(1).selectExpr("length(repeat(cast(id as string), 2000000000))").collect()

spark = (SparkSession.builder.master("local-cluster[1,1,512]").config("spark.executor.memory", "512m")
    .config("spark.ui.enabled", "false").config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.task.maxFailures", "1").getOrCreate())
status = run_request(spark, sys.argv[1], steps)
spark.stop()
sys.exit(status)
"""


@pytest.mark.parametrize(
    "text",
    [
        "java.lang.OutOfMemoryError: GC overhead limit exceeded",
        "org.apache.spark.memory.SparkOutOfMemoryError: [UNABLE_TO_ACQUIRE_MEMORY] Unable to acquire 65536 bytes",
        "ExecutorLostFailure (executor 3 exited caused by one of the running tasks) Reason: Container killed by "
        "YARN for exceeding physical memory limits. 5.6 GB of 5.5 GB physical memory used.",
        "Reason: Container from a bad node: container_1 on host: ip-10-0-0-1. Exit status: 137. Diagnostics: killed",
        "Container killed on request. Exit code is 137",
        "Reason: Command exited with code 52",
        "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 3.00 GiB for an array",
        "Traceback (most recent call last):\n  File …\nMemoryError",
    ],
)
def test_what_spark_says_of_memory_is_recognised(text: str) -> None:
    failure = recognise(RuntimeError(f"Job aborted due to stage failure: … {text}\n\nDriver stacktrace:"))
    assert failure is not None
    assert failure.code == "out_of_memory"


@pytest.mark.parametrize("text", ["Exit status: 143", "Exit status: -100", "exited with code 1", "code 520"])
def test_other_ends_of_an_executor_are_no_matter_of_memory(text: str) -> None:
    assert recognise(RuntimeError(f"Job aborted due to stage failure: {text}")) is None


def test_executor_that_runs_out_of_memory_leaves_a_failure(
    spark_environment: dict[str, str], requests: RequestMaker, rows: Path
) -> None:
    uri = requests.write(requests.document([rows], [rows], num_features=3))
    environment = {**spark_environment, "PYTHONPATH": str(JOB_FOLDER), "PATH": "/usr/bin:/bin"}
    environment["SPARK_WORKER_DIR"] = str(requests.output.parent / "workers")
    finished = subprocess.run(
        [sys.executable, "-c", STEPS, uri], env=environment, check=False, capture_output=True, text=True
    )
    assert finished.returncode == 1, finished.stderr[-3000:]
    assert Finished(1, requests.output).failure["code"] == "out_of_memory"
