"""How tasks stand, asked of Airflow for many at once."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, TypeAlias

from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

# DAG and run; DAG, run and task
RunKey: TypeAlias = tuple[str, str]
TaskKey: TypeAlias = tuple[str, str, str]

# they go into the query of one request
_TASKS_AT_ONCE = 50


def task_key(task_instance: Any) -> TaskKey:
    """Of what a triggerer gives a trigger."""
    return (task_instance.dag_id, task_instance.run_id, task_instance.task_id)


def task_states(run: RunKey, task_ids: Iterable[str]) -> dict[str, str | None]:
    """State of each task of a run that Airflow knows; one without any has none.

    :raises Exception: Airflow does not answer
    """
    dag_id, run_id = run
    rest = iter(sorted(task_ids))
    states: dict[str, str | None] = {}
    while some := list(islice(rest, _TASKS_AT_ONCE)):
        answer = RuntimeTaskInstance.get_task_states(dag_id=dag_id, task_ids=some, run_ids=[run_id])
        states |= answer.get(run_id, {})
    return states
