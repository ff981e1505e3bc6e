from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from trainyard.laptop.failures import task_failures
from trainyard.laptop.progress import Progress, run_progress
from trainyard.laptop.progress_view import ProgressView
from trainyard.laptop.settings import read_settings

CLUSTER = {"Id": "j-2", "Name": "trainyard-laptop-demo-hotels-0123456789abcdef-attempt-2"}
OLDER = {
    "Id": "j-1",
    "Name": "trainyard-laptop-demo-hotels-0123456789abcdef-attempt-1",
    "Status": {"State": "TERMINATED"},
}


def _phase(states: dict[str, str | None], cluster: str | None) -> str:
    tasks: list[dict[str, Any]] = [{"task_id": task, "state": state} for task, state in states.items()]
    clusters = [] if cluster is None else [{**CLUSTER, "Status": {"State": cluster}}, OLDER]
    [progress] = run_progress(tasks, clusters, {"hotels": "0123456789abcdef"})
    assert progress.cluster_id == ("" if cluster is None else "j-2")
    return progress.phase


@pytest.mark.parametrize(
    ("create", "wait", "publish", "cluster", "phase"),
    [
        (None, None, None, None, "queued"),
        ("running", None, None, None, "launching"),
        ("running", None, None, "STARTING", "provisioning"),
        ("success", "deferred", None, "BOOTSTRAPPING", "provisioning"),
        ("success", "deferred", None, "RUNNING", "training"),
        ("success", "deferred", None, "TERMINATING", "training ended"),
        ("success", "up_for_retry", None, "TERMINATED_WITH_ERRORS", "trying again"),
        ("success", "success", "scheduled", "TERMINATED", "trained"),
        ("success", "success", "running", "TERMINATED", "publishing"),
        ("success", "success", "success", "TERMINATED", "published"),
        ("success", "failed", "success", "TERMINATED_WITH_ERRORS", "failed"),
        ("upstream_failed", "upstream_failed", "failed", None, "failed"),
        ("skipped", "skipped", "success", None, "left out"),
    ],
)
def test_a_models_phase(
    create: str | None, wait: str | None, publish: str | None, cluster: str | None, phase: str
) -> None:
    states = {"hotels.create_cluster": create, "hotels.wait_for_training": wait, "publish": publish}
    assert _phase(states, cluster) == phase


def test_where_there_is_no_terminal_only_changes_are_printed() -> None:
    output = io.StringIO()
    with ProgressView(Console(file=output)) as view:
        view.show([Progress("flights", "queued"), Progress("hotels", "queued")])
        view.show([Progress("flights", "queued"), Progress("hotels", "training", "j-2")])
        view.show([Progress("flights", "queued"), Progress("hotels", "training", "j-2")])
    words = [line.split()[2:] for line in output.getvalue().splitlines()]
    assert words == [["flights", "queued"], ["hotels", "queued"], ["hotels", "training", "j-2"]]


def test_a_failed_task_is_told_with_its_last_exception_and_its_log(tmp_path: Path) -> None:
    settings = read_settings({"TRAINYARD_STATE": str(tmp_path)})
    log = tmp_path / "logs/tasks/dag_id=demo/run_id=r/task_id=hotels.wait_for_training/attempt=2.log"
    log.parent.mkdir(parents=True)
    error = {
        "event": "Task failed",
        "error_detail": [{"exc_type": "AirflowFailException", "exc_value": "bad_label: 7"}],
    }
    log.write_text("\n".join([json.dumps(error), "not JSON", json.dumps({"event": "done"})]))
    failed = {
        "dag_id": "demo",
        "task_id": "hotels.wait_for_training",
        "state": "failed",
        "try_number": 2,
        "end_date": None,
    }
    [failure] = task_failures(settings, "r", [failed, {**failed, "state": "success"}])
    assert (failure.sentence, failure.log) == ("bad_label: 7", log)
