"""What is kept, what is lost and what must be gone when local_aws ends and starts again."""

from __future__ import annotations

import dataclasses
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from local_aws.cli import option_parser
from local_aws.settings import Settings


def test_logs_come_late_where_they_are_told_to(
    start_local_aws: Callable[..., Any], aws_at: Any, step: Any, until: Any, tmp_path: Path
) -> None:
    server = start_local_aws(tmp_path / "root", "--log-delay-seconds", "3")
    aws = aws_at(server.url)
    aws.s3.create_bucket(Bucket="logs")
    cluster_id = aws.launch(step("bash", "-c", "date +%s"), LogUri="s3://logs/")
    aws.wait_for_end(cluster_id)
    until(lambda: len(aws.keys("logs")) == 3, "the logs are there")
    logs = aws.s3.list_objects_v2(Bucket="logs")["Contents"]
    (stdout,) = [log["Key"] for log in logs if log["Key"].endswith("/stdout.gz")]
    ran_at = int(aws.text("logs", stdout))
    assert min(log["LastModified"].timestamp() for log in logs) >= ran_at + 3
    server.stop()


def carrying(word: str) -> list[psutil.Process]:
    """Processes whose command line has the word, but for this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if word in " ".join(process.cmdline()) and process.pid != psutil.Process().pid:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def word() -> str:
    """By which a test knows its own processes, also where the suite runs twice on one machine."""
    return f"marker-{uuid4().hex}"


@pytest.fixture
def server(start_local_aws: Callable[..., Any], tmp_path: Path) -> Any:
    return start_local_aws(tmp_path / "root")


def test_objects_survive_a_kill(server: Any, aws_at: Any) -> None:
    aws = aws_at(server.url)
    for bucket in ("full", "empty"):
        aws.s3.create_bucket(Bucket=bucket)
    aws.s3.put_object(Bucket="full", Key="a/b c+d%é.txt", Body=b"kept", Metadata={"owner": "me"})
    aws.put("full", "gone.txt", "x")
    aws.s3.delete_object(Bucket="full", Key="gone.txt")
    before = aws.s3.head_object(Bucket="full", Key="a/b c+d%é.txt")
    server.stop(signal.SIGKILL)
    server.start()
    after = aws.s3.head_object(Bucket="full", Key="a/b c+d%é.txt")
    assert aws.keys("full") == ["a/b c+d%é.txt"]
    assert aws.text("full", "a/b c+d%é.txt") == "kept"
    assert (after["ETag"], after["Metadata"]) == (before["ETag"], {"owner": "me"})
    assert [bucket["Name"] for bucket in aws.s3.list_buckets()["Buckets"]] == ["empty", "full"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_step_outlives_its_server_and_its_cluster_says_so(
    server: Any, aws_at: Any, step: Any, until: Any, word: str, number: signal.Signals
) -> None:
    aws = aws_at(server.url)
    # its child leaves the session, so that no signal to a group reaches it
    script = f"setsid bash -c 'while true; do sleep 0.2; done' {word} & while true; do sleep 0.2; done"
    cluster_id = aws.launch(step("bash", "-c", script, word), step("bash", "-c", "true"))
    done_id = aws.launch(step("bash", "-c", "true"))
    aws.wait_for_end(done_id)
    until(lambda: len(carrying(word)) >= 2, "the step and its child run")
    code = server.stop(number)
    if number is signal.SIGTERM:
        assert code == 0
        assert carrying(word) == []
    server.start()
    assert carrying(word) == []
    cluster = aws.cluster(cluster_id)
    assert cluster["Status"]["State"] == "TERMINATED_WITH_ERRORS"
    assert cluster["Status"]["StateChangeReason"] == {
        "Code": "INTERNAL_ERROR",
        "Message": "local_aws was stopped while the cluster was live",
    }
    assert aws.step_states(cluster_id) == ["INTERRUPTED", "CANCELLED"]
    assert aws.state(done_id) == "TERMINATED"
    # and it works on
    assert aws.wait_for_end(aws.launch(step("bash", "-c", "true")))["Status"]["State"] == "TERMINATED"


def test_a_killed_server_takes_its_steps_along_at_once(
    server: Any, aws_at: Any, step: Any, until: Any, word: str
) -> None:
    aws_at(server.url).launch(step("bash", "-c", "while true; do sleep 0.2; done", word))
    until(lambda: len(carrying(word)) >= 1, "the step runs")
    server.stop(signal.SIGKILL)
    until(lambda: carrying(word) == [], "the step is gone without a new start")


# a process of a step that gave up its environment, its session and its parent
ESCAPING = "env -i setsid bash -c 'while true; do sleep 0.2; done' {} & sleep {}"
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers (prctl(2))")


@on_linux
@pytest.mark.parametrize("seconds", [0, 600], ids=["after its step", "while its step runs"])
def test_a_process_with_another_environment_ends_with_its_cluster(
    server: Any, aws_at: Any, step: Any, until: Any, word: str, seconds: int
) -> None:
    aws = aws_at(server.url)
    cluster_id = aws.launch(
        step("bash", "-c", ESCAPING.format(word, seconds)),
        # another step is not kept waiting by what the first one left
        step("bash", "-c", "true"),
        keep_alive=True,
    )
    if seconds == 0:
        until(lambda: aws.step_states(cluster_id) == ["COMPLETED", "COMPLETED"], "the steps end")
    until(lambda: len(carrying(f"bash -c while true; do sleep 0.2; done {word}")) >= 1, "it runs")
    aws.emr.terminate_job_flows(JobFlowIds=[cluster_id])
    aws.wait_for_end(cluster_id)
    assert carrying(word) == []


@on_linux
@pytest.mark.parametrize("seconds", [0, 600], ids=["after its step", "while its step runs"])
def test_a_process_with_another_environment_ends_with_a_killed_server(
    server: Any, aws_at: Any, step: Any, until: Any, word: str, seconds: int
) -> None:
    aws = aws_at(server.url)
    cluster_id = aws.launch(step("bash", "-c", ESCAPING.format(word, seconds)), keep_alive=True)
    if seconds == 0:
        until(lambda: aws.step_states(cluster_id) == ["COMPLETED"], "the step ends")
    until(lambda: len(carrying(f"bash -c while true; do sleep 0.2; done {word}")) >= 1, "it runs")
    server.stop(signal.SIGKILL)
    until(lambda: carrying(word) == [], "it is gone without a new start")


def run_cli(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local_aws", *options],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = run_cli("--port", str(port), "--root", str(tmp_path))
    assert ended.returncode == 1
    assert f"port {port} on 127.0.0.1 cannot be used: Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_server_on_the_same_root_is_refused(server: Any) -> None:
    ended = run_cli("--port", "0", "--root", str(server.root))
    assert ended.returncode == 1
    assert f"another local_aws uses --root {server.root}" in ended.stderr


def test_help_and_documentation_name_every_setting() -> None:
    shown = run_cli("--help").stdout
    table = (Path(__file__).parents[2] / "docs/local-aws.md").read_text(encoding="utf-8")
    options = [option for action in option_parser()._actions for option in action.option_strings]
    assert len(options) >= len(dataclasses.fields(Settings))
    for option in options:
        assert re.search(rf"{option}\b", shown), option
        assert option in ("-h", "--help") or f"`{option}" in table, option


@pytest.mark.parametrize(
    "option",
    [
        ("--port", "70000"),
        ("--slots", "0"),
        ("--grace-seconds", "-1"),
        ("--simulate", "1", "--run-bootstrap-actions"),
    ],
)
def test_a_setting_out_of_range_is_refused_with_what_is_accepted(option: tuple[str, ...]) -> None:
    ended = run_cli(*option)
    assert ended.returncode == 2
    assert "accepted" in ended.stderr
