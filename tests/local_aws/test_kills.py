"""SIGKILL of local_aws at many moments of its clusters' lives: nothing runs on, and every cluster says how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

LOST = {"Code": "INTERNAL_ERROR", "Message": "local_aws was stopped while the cluster was live"}

JOB = """
import sys, time
from pyspark.sql import SparkSession

def slowly(part):
    time.sleep(600)
    return part

spark = SparkSession.builder.getOrCreate()
out = sys.argv[1]
spark.range(100).write.mode("overwrite").csv(out)
spark.sparkContext.parallelize(range(4), 4).mapPartitions(slowly).count()
"""


def of_root(root: Path) -> dict[psutil.Process, str]:
    """Command lines of all processes of this root's steps, known by their arguments, environment or folder."""
    found = {}
    for process in psutil.process_iter():
        try:
            known = [*process.cmdline(), *process.environ().values(), process.cwd()]
            line = " ".join(process.cmdline())
        except (psutil.Error, OSError):
            continue
        is_server = "local_aws" in known and "--root" in known
        if process.pid != os.getpid() and not is_server and any(str(root) in text for text in known):
            found[process] = line
    return found


def is_there(root: Path, word: str) -> bool:
    """Whether a process of the steps has the word in its command line."""
    return any(word in line for line in of_root(root).values())


def kill_and_return(server: Any, *, guards_too: bool) -> None:
    """SIGKILL, for the guards of its steps as well where asked, as when memory runs out; then a new start."""
    # stopped first, so that it sees nothing of what happens to its guards
    server.process.send_signal(signal.SIGSTOP)
    for process, line in of_root(server.root).items() if guards_too else ():
        if "guard.py" in line:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    server.stop(signal.SIGKILL)
    server.start()


def check_aftermath(aws: Any, root: Path, cluster_ids: list[str]) -> None:
    assert of_root(root) == {}
    for cluster_id in cluster_ids:
        status = aws.cluster(cluster_id)["Status"]
        if status["State"] != "TERMINATED":
            assert (status["State"], status["StateChangeReason"]) == ("TERMINATED_WITH_ERRORS", LOST)
        assert "EndDateTime" in status["Timeline"]
        states = aws.step_states(cluster_id)
        assert not {"PENDING", "RUNNING", "CANCEL_PENDING"} & set(states), states


@pytest.fixture
def server(start_local_aws: Callable[..., Any], tmp_path: Path) -> Any:
    return start_local_aws(tmp_path / "root")


def test_a_kill_at_any_moment_of_shell_steps_leaves_nothing(server: Any, aws_at: Any, step: Any) -> None:
    """From the reply of RunJobFlow, over provisioning, bootstrapping and steps, to a termination under way."""
    aws = aws_at(server.url)
    fleeing = "setsid bash -c 'while true; do sleep 0.2; done' & sleep 600"
    launched: list[str] = []
    for moment in range(16):
        ids = [
            aws.launch(step("bash", "-c", fleeing), step("bash", "-c", "true")),
            aws.launch(step("bash", "-c", "true"), LogUri="s3://logs/"),
        ]
        time.sleep(moment * 0.06)
        if moment % 4 == 3:
            aws.emr.terminate_job_flows(JobFlowIds=ids[:1])
        kill_and_return(server, guards_too=moment % 2 == 1)
        launched += ids
        check_aftermath(aws, server.root, launched)
    # and it works on
    assert aws.wait_for_end(aws.launch(step("bash", "-c", "true")))["Status"]["State"] == "TERMINATED"


# Spark's launcher lives for a moment only: here it waits for options that nobody writes into a pipe
HELD_LAUNCHER = "-XX:VMOptionsFile={}"


def spark_env(**variables: str) -> dict[str, Any]:
    exported = {"Classification": "export", "Properties": variables}
    return {"Classification": "spark-env", "Configurations": [exported]}


@pytest.mark.timeout(1500)
def test_a_kill_at_any_stage_of_spark_leaves_no_spark(
    server: Any, aws_at: Any, step: Any, until: Any, tmp_path: Path
) -> None:
    """Of the local_aws alone, and of the guards of its steps with it, in turn."""
    os.mkfifo(tmp_path / "pipe")
    aws = aws_at(server.url)
    aws.s3.create_bucket(Bucket="kills")
    aws.put("kills", "job.py", JOB)
    root = server.root
    stages: dict[str, Callable[[], bool]] = {
        "its files are fetched": lambda: any(root.glob("spark/*/files/kills/job.py")),
        "the launcher starts": lambda: is_there(root, "org.apache.spark.launcher.Main"),
        "the driver's JVM is there": lambda: is_there(root, "org.apache.spark.deploy.SparkSubmit"),
        "it has written": lambda: any(root.glob("spark/*/files/kills/out-*/_SUCCESS")),
        "Python workers run": lambda: is_there(root, "pyspark.daemon"),
    }
    for number, (stage, reached) in enumerate(stages.items()):
        held = HELD_LAUNCHER.format(tmp_path / "pipe") if stage == "the launcher starts" else ""
        cluster_id = aws.launch(
            step("spark-submit", "s3://kills/job.py", f"s3://kills/out-{number}"),
            Configurations=[spark_env(SPARK_LAUNCHER_OPTS=held)],
        )
        until(reached, stage, seconds=240)
        kill_and_return(server, guards_too=number % 2 == 1)
        check_aftermath(aws, root, [cluster_id])
        assert aws.state(cluster_id) == "TERMINATED_WITH_ERRORS"
        assert aws.text("kills", "job.py") == JOB
