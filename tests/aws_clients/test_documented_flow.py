"""The amazon provider's documented flow runs unchanged against local_aws, deferrable and not."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PYTHON = Path(__file__).parents[2] / ".venv-deferrable" / "bin" / "python"
# what Airflow says when it runs a deferred task's trigger
DEFERRED = "running trigger in line"
TASK_STATES = ("=success", "=failed", "=upstream_failed", "=skipped")
TASKS = [
    "create_job_flow",
    "modify_cluster",
    "add_steps",
    "wait_for_step",
    "remove_cluster",
    "check_job_flow",
]


@pytest.fixture(scope="module")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture(scope="module")
def airflow_environment(airflow_home: Path, local_aws_url: str) -> dict[str, str]:
    """An Airflow of its own in a folder, whose one AWS connection is local_aws."""
    connection = {
        "conn_type": "aws",
        "login": "test",
        "password": "test",
        "extra": {"region_name": "us-east-1", "endpoint_url": local_aws_url},
    }
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(airflow_home),
        "AIRFLOW_HOME": str(airflow_home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__DAGS_FOLDER": str(HERE),
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
        # nothing else could answer by mistake
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_ENDPOINT_URL": local_aws_url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    subprocess.run(
        [str(PYTHON.with_name("airflow")), "db", "migrate"], env=environment, check=True, capture_output=True
    )
    return environment


def run_flow(environment: dict[str, str], dag_id: str, defers: str) -> tuple[list[str], str]:
    """The states of the tasks in their order, and all that Airflow said."""
    ended = subprocess.run(
        [str(PYTHON), str(HERE / "documented_flow.py"), dag_id],
        env=environment | {"FLOW_DEFERS": defers},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    states = [line for line in ended.stdout.splitlines() if line.endswith(TASK_STATES)]
    return states, ended.stdout + ended.stderr


@pytest.mark.parametrize(("defers", "at_least"), [("nobody", 0), ("operators", 3), ("sensors", 1)])
def test_the_documented_flow_runs_to_its_end(
    airflow_environment: dict[str, str], aws: Any, bucket: str, pi: str, defers: str, at_least: int
) -> None:
    aws.put(bucket, "pi.py", pi)
    states, said = run_flow(airflow_environment | {"FLOW_BUCKET": bucket}, "documented_flow", defers)
    assert states == [f"{task}=success" for task in TASKS], said
    assert said.count(DEFERRED) >= at_least, said
    assert (DEFERRED in said) is (at_least > 0), said
    newest = aws.emr.list_clusters()["Clusters"][0]
    cluster = aws.cluster(newest["Id"])
    assert cluster["Name"] == "documented-flow"
    assert cluster["Status"]["State"] == "TERMINATED"
    assert cluster["Status"]["StateChangeReason"]["Code"] == "USER_REQUEST"
    assert cluster["StepConcurrencyLevel"] == 2
    steps = aws.steps(newest["Id"])
    assert [step["Status"]["State"] for step in steps] == ["COMPLETED", "COMPLETED"]
    began, ended_at = ([s["Status"]["Timeline"][f"{w}DateTime"] for s in steps] for w in ("Start", "End"))
    assert max(began) < min(ended_at), "the two steps did not run side by side"
    out = aws.text(bucket, f"logs/{newest['Id']}/steps/{steps[0]['Id']}/stdout.gz")
    assert "Pi is roughly 3.1" in out


@pytest.mark.parametrize("defers", ["nobody", "sensors"])
def test_the_end_of_a_cluster_that_ends_by_itself_is_waited_for(
    airflow_environment: dict[str, str], aws: Any, bucket: str, pi: str, defers: str
) -> None:
    aws.put(bucket, "pi.py", pi)
    states, said = run_flow(airflow_environment | {"FLOW_BUCKET": bucket}, "self_ending_flow", defers)
    assert states == ["create_job_flow=success", "check_job_flow=success"], said
    assert (DEFERRED in said) is (defers == "sensors"), said
    newest = aws.emr.list_clusters()["Clusters"][0]
    assert newest["Name"] == "self-ending-flow"
    assert newest["Status"]["State"] == "TERMINATED"
    assert newest["Status"]["StateChangeReason"]["Code"] == "ALL_STEPS_COMPLETED"
