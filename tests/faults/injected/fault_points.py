"""What the test's DAG files bring into Airflow's processes: points at which a worker dies, and waits cut short.

A point is a file in the folder ``TRAINYARD_FAULT_POINTS``, named after the point and the cluster; whoever removes it
kills its worker. The product knows nothing of it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from trainyard import clusters, launching
from trainyard.operators import wait

BEFORE, AFTER = "before-RunJobFlow", "after-RunJobFlow"

_launch = clusters.launch


def _launch_between_points(emr: Any, request: Mapping[str, Any]) -> Any:
    _reach(BEFORE, request["Name"])
    cluster_id = _launch(emr, request)
    _reach(AFTER, request["Name"])
    return cluster_id


def _reach(point: str, cluster_name: str) -> None:
    try:
        (Path(os.environ["TRAINYARD_FAULT_POINTS"]) / f"{point}.{cluster_name}").unlink()
    except FileNotFoundError:
        return
    # the executor's worker, which supervises the task, and the task's own process: as if their machine had died
    for pid in (os.getppid(), os.getpid()):
        os.kill(pid, signal.SIGKILL)


clusters.launch = _launch_between_points
# simulated steps have no logs that could come
wait._LOG_WAIT = timedelta(seconds=1)


def hasten(dag: DAG) -> DAG:
    """Tasks are tried again at once."""
    for task in dag.tasks:
        task.retry_delay = timedelta(seconds=1)
        task.retry_exponential_backoff = 0
    return dag


def without_grace(dag: DAG) -> DAG:
    """A cluster is overdue at its deadline, and not half an hour later."""
    launching.GRACE_MINUTES = 0
    return hasten(dag)


def without_place(dag: DAG) -> DAG:
    """No worker ever has a place for a wait: the pool that is for them has none."""
    for task in dag.tasks:
        if task.task_id.endswith(".wait_for_training"):
            task.pool = "no_place"
    return hasten(dag)


def as_it_is(dag: DAG) -> DAG:
    """Tasks are tried again as the product has it, so that their tries last through an outage."""
    return dag
