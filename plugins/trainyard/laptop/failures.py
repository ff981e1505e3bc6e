"""What failed in a run, for a person: the task, the sentence it failed with, and the file that holds its log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainyard.laptop.airflow_api import Json
from trainyard.laptop.settings import Settings


@dataclass(frozen=True)
class TaskFailure:
    """:param sentence: the message of the exception that ended the task; empty where its log has none"""

    task_id: str
    sentence: str
    log: Path


def task_failures(settings: Settings, run_id: str, tasks: Sequence[Json]) -> list[TaskFailure]:
    """The run's failed tasks, causes first; those that could not start after them are left out."""
    ended = sorted(tasks, key=lambda task: task["end_date"] or "")
    return [
        TaskFailure(task_id=task["task_id"], sentence=_sentence(log), log=log)
        for task in ended
        if task["state"] == "failed"
        for log in [_log(settings, run_id, task)]
    ]


def _log(settings: Settings, run_id: str, task: Json) -> Path:
    folder = (
        settings.logs
        / "tasks"
        / f"dag_id={task['dag_id']}"
        / f"run_id={run_id}"
        / f"task_id={task['task_id']}"
    )
    return folder / f"attempt={task['try_number']}.log"


def _sentence(log: Path) -> str:
    """The last exception that the log tells of: Airflow writes one JSON object a line."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    for line in reversed(lines):
        try:
            details = json.loads(line).get("error_detail")
        except (ValueError, AttributeError):
            continue
        if details:
            kind, sentence = details[0].get("exc_type", ""), details[0].get("exc_value", "")
            # Airflow's own say no more than that a task failed
            return str(sentence if kind.startswith("Airflow") else f"{kind}: {sentence}")
    return ""
