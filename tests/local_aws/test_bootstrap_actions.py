"""Bootstrap actions that really run where they are asked for: in order, as nobody else, to the end of their cluster."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest


@pytest.fixture(scope="module")
def server(start_local_aws: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return start_local_aws(tmp_path_factory.mktemp("bootstrap") / "root", "--run-bootstrap-actions")


@pytest.fixture
def aws(server: Any, aws_at: Any) -> Any:
    client = aws_at(server.url)
    client.s3.create_bucket(Bucket="boot")
    return client


def actions(aws: Any, *scripts: str, args: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """A bootstrap action for each script, which lies in S3."""
    made = []
    for number, script in enumerate(scripts, start=1):
        aws.put("boot", f"action-{number}.sh", script)
        path = f"s3://boot/action-{number}.sh"
        made.append({"Name": f"action {number}", "ScriptBootstrapAction": {"Path": path, "Args": list(args)}})
    return made


def log(aws: Any, cluster_id: str, number: int, name: str) -> str:
    """A log of the primary node's bootstrap action."""
    (node,) = aws.emr.list_instances(ClusterId=cluster_id, InstanceGroupTypes=["MASTER"])["Instances"]
    place = f"logs/{cluster_id}/node/{node['Ec2InstanceId']}/bootstrap-actions/{number}"
    return str(aws.text("boot", f"{place}/{name}.gz"))


def test_actions_run_in_order_before_the_first_step(aws: Any, step: Any, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    made = actions(
        aws,
        f'#!/bin/bash\necho "first $1" >>{trace}; echo out; echo err >&2',
        f"#!/bin/bash\nsleep 0.3; echo second >>{trace}",
        args=("an argument",),
    )
    cluster_id = aws.launch(
        step("bash", "-c", f"echo step >>{trace}"), BootstrapActions=made, LogUri="s3://boot/logs/"
    )
    assert aws.wait_for_end(cluster_id)["Status"]["State"] == "TERMINATED"
    assert trace.read_text().splitlines() == ["first an argument", "second", "step"]
    assert log(aws, cluster_id, 1, "stdout") == "out\n"
    assert log(aws, cluster_id, 1, "stderr") == "err\n"
    assert "startExec 's3://boot/action-1.sh an argument'" in log(aws, cluster_id, 1, "controller")
    assert log(aws, cluster_id, 2, "stdout") == ""


def test_a_failing_action_ends_the_cluster_with_emrs_reason(aws: Any, step: Any, tmp_path: Path) -> None:
    never = tmp_path / "never"
    made = actions(
        aws,
        "#!/bin/bash\ntrue",
        "#!/bin/bash\necho 'no such package' >&2; exit 7",
        f"#!/bin/bash\ntouch {never}",
    )
    cluster_id = aws.launch(
        step("bash", "-c", f"touch {never}"), BootstrapActions=made, LogUri="s3://boot/logs/"
    )
    status = aws.wait_for_end(cluster_id)["Status"]
    assert status["State"] == "TERMINATED_WITH_ERRORS"
    assert status["StateChangeReason"]["Code"] == "BOOTSTRAP_FAILURE"
    assert "bootstrap action 2 returned a non-zero return code: 7" in status["StateChangeReason"]["Message"]
    assert status["ErrorDetails"][0]["ErrorCode"] == "BOOTSTRAP_FAILURE_PRIMARY_WITH_NON_ZERO_CODE"
    data = {name: value for item in status["ErrorDetails"][0]["ErrorData"] for name, value in item.items()}
    assert (data["amazon-s3-path"], data["bootstrap-action"]) == ("s3://boot/action-2.sh", "2")
    assert aws.step_states(cluster_id) == ["CANCELLED"]
    assert not never.exists()
    assert log(aws, cluster_id, 2, "stderr") == "no such package\n"


def test_a_script_that_is_not_there_is_a_bootstrap_failure(aws: Any) -> None:
    made = [{"Name": "gone", "ScriptBootstrapAction": {"Path": "s3://boot/gone.sh"}}]
    cluster_id = aws.launch(BootstrapActions=made, LogUri="s3://boot/logs/", keep_alive=True)
    status = aws.wait_for_end(cluster_id)["Status"]
    assert status["StateChangeReason"]["Code"] == "BOOTSTRAP_FAILURE"
    assert "Not Found" in log(aws, cluster_id, 1, "controller")


def test_a_terminated_cluster_ends_the_action_that_runs(aws: Any, until: Any, tmp_path: Path) -> None:
    began, never = tmp_path / "began", tmp_path / "never"
    made = actions(aws, f"#!/bin/bash\ntouch {began}; sleep 600", f"#!/bin/bash\ntouch {never}")
    cluster_id = aws.launch(BootstrapActions=made, keep_alive=True)
    until(began.exists, "the first action runs")
    assert aws.state(cluster_id) == "BOOTSTRAPPING"
    aws.emr.terminate_job_flows(JobFlowIds=[cluster_id])
    assert aws.wait_for_end(cluster_id)["Status"]["StateChangeReason"]["Code"] == "USER_REQUEST"
    assert not never.exists()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux has such a word")
def test_an_action_runs_as_us_and_can_become_nobody_else(aws: Any, tmp_path: Path) -> None:
    said = tmp_path / "said"
    made = actions(aws, f"#!/bin/bash\nid -u >{said}; grep NoNewPrivs /proc/self/status >>{said}")
    aws.wait_for(aws.launch(BootstrapActions=made, keep_alive=True), "WAITING")
    assert said.read_text().split() == [str(os.getuid()), "NoNewPrivs:", "1"]


def test_without_being_asked_for_nothing_runs(local_aws_url: str, aws_at: Any, tmp_path: Path) -> None:
    ordinary, never = aws_at(local_aws_url), tmp_path / "never"
    ordinary.s3.create_bucket(Bucket="boot")
    made = actions(ordinary, f"#!/bin/bash\ntouch {never}")
    cluster_id = ordinary.launch(BootstrapActions=made)
    assert ordinary.wait_for_end(cluster_id)["Status"]["State"] == "TERMINATED"
    assert not never.exists()


def test_a_killed_server_leaves_no_action_running(
    start_local_aws: Any, aws_at: Any, until: Any, tmp_path: Path
) -> None:
    server = start_local_aws(tmp_path / "root", "--run-bootstrap-actions")
    aws = aws_at(server.url)
    aws.s3.create_bucket(Bucket="boot")
    # no other test, of another run of the suite either, sleeps for as long
    began, nap = tmp_path / "began", ["sleep", str(10_000 + uuid4().int % 10**9)]
    cluster_id = aws.launch(BootstrapActions=actions(aws, f"#!/bin/bash\ntouch {began}; {' '.join(nap)}"))
    until(began.exists, "the action runs")
    server.stop(signal.SIGKILL)
    server.start()
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == nap]
    assert aws.cluster(cluster_id)["Status"]["StateChangeReason"]["Code"] == "INTERNAL_ERROR"
