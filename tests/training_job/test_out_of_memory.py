"""Running out of memory has its code, wherever it happens that the job can still speak."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from local_aws.steps.spark import DECIDED_CONFS
from tests.training_job.conftest import JOB_FOLDER, RequestMaker
from training_job.session import recognise

STEPS = """
import json
import sys
from pyspark.sql import SparkSession
from training_job.session import run_request

def steps(job):
    # 2 GB in one text, where there is half a GB
    job.spark.range(1).selectExpr("length(repeat(cast(id as string), 2000000000))").collect()

builder = SparkSession.builder
for name, value in json.loads(sys.argv[2]).items():
    builder = builder.config(name, value)
spark = builder.getOrCreate()
status = run_request(spark, sys.argv[1], steps)
spark.stop()
sys.exit(status)
"""

SETTINGS = {"spark.ui.enabled": "false", "spark.driver.bindAddress": "127.0.0.1"}
APART = {
    "spark.master": "local-cluster[1,1,512]",
    "spark.executor.memory": "512m",
    "spark.task.maxFailures": "1",
}
ONE_PROCESS = {"spark.master": "local[1]", "spark.driver.memory": "512m"}


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


# in one process with the driver, the executor is what local_aws runs a step on
@pytest.mark.parametrize("executor", [APART, {**DECIDED_CONFS, **ONE_PROCESS}], ids=["apart", "one process"])
def test_executor_that_runs_out_of_memory_leaves_a_failure(
    spark_environment: dict[str, str], requests: RequestMaker, rows: Path, executor: dict[str, str]
) -> None:
    uri = requests.write(requests.document([rows], [rows], num_features=3))
    environment = {**spark_environment, "PYTHONPATH": str(JOB_FOLDER), "PATH": "/usr/bin:/bin"}
    environment["SPARK_WORKER_DIR"] = str(requests.output.parent / "workers")
    finished = subprocess.run(
        [sys.executable, "-c", STEPS, uri, json.dumps(SETTINGS | executor)],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 1, finished.stderr[-3000:]
    assert requests.finished(1).failure["code"] == "out_of_memory"
