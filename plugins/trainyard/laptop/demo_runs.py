"""The demo's DAG runs: one at a time, and no run that nobody asked for.

Unpausing a scheduled DAG makes Airflow's scheduler create the last slot's run at once, unless a run with that
slot's logical date is there. So the demo's run takes the slot if it is due and free, and the DAG is unpaused
after that. When the demo is over, the DAG is paused again.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from pathlib import Path

from trainyard.laptop.airflow_api import AirflowApi, AirflowApiError, Json, parse_time
from trainyard.laptop.demo_inputs import DEMO
from trainyard.laptop.settings import Settings

_RUN_PREFIX = "demo-"
FINISHED = frozenset({"success", "failed"})


def unpaused_mark(settings: Settings) -> Path:
    """The file that is there while the demo has the DAG unpaused, and after a crash of it."""
    return settings.run / "demo-is-unpaused"


def parsed_dag(api: AirflowApi, *, since: datetime) -> Json | None:
    """The demo's DAG as Airflow knows it, once it has been parsed since then; before, its slot may be old."""
    try:
        dag = api.get("dags", DEMO)
    except AirflowApiError as error:
        if error.status in (0, 404):
            return None
        raise
    parsed = dag["last_parsed_time"]
    return dag if parsed is not None and parse_time(parsed) >= since else None


def import_errors(api: AirflowApi, *, since: datetime) -> list[str]:
    """What kept DAG files from being loaded since then; before, it may have been mended."""
    return [
        f"{error['filename']}: {error['stack_trace'].strip()}"
        for error in api.get("importErrors")["import_errors"]
        if parse_time(error["timestamp"]) >= since
    ]


def trigger(api: AirflowApi, settings: Settings, dag: Json) -> str:
    """Start the demo's run and return its id; :func:`settle` is owed afterwards."""
    body: Json = {
        "dag_run_id": f"{_RUN_PREFIX}{datetime.now(tz=timezone.utc):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:4]}",
        "logical_date": _free_slot(api, dag),
    }
    run_id = str(api.post("dags", DEMO, "dagRuns", body=body)["dag_run_id"])
    if dag["is_paused"]:
        unpaused_mark(settings).touch()
        api.patch("dags", DEMO, body={"is_paused": False})
    return run_id


def _free_slot(api: AirflowApi, dag: Json) -> str | None:
    """The logical date of the run that the scheduler would create now."""
    slot, due = dag["next_dagrun_logical_date"], dag["next_dagrun_run_after"]
    if slot is None or due is None or parse_time(due) > datetime.now(tz=timezone.utc):
        return None
    taken = api.get("dags", DEMO, "dagRuns", logical_date_gte=slot, logical_date_lte=slot)
    return None if taken["dag_runs"] else str(slot)


def settle(api: AirflowApi, settings: Settings) -> list[str]:
    """Leave nothing of a demo behind that Airflow would go on with; returns the runs that had to be failed."""
    mark = unpaused_mark(settings)
    if mark.exists():
        api.patch("dags", DEMO, body={"is_paused": True})
        mark.unlink()
    try:
        runs = api.get("dags", DEMO, "dagRuns", order_by="-run_after", limit=100)["dag_runs"]
    except AirflowApiError as error:
        if error.status != 404:
            raise
        # a new Airflow, which has not read the DAG yet
        return []
    unfinished = [
        str(run["dag_run_id"])
        for run in runs
        if run["state"] not in FINISHED and run["dag_run_id"].startswith(_RUN_PREFIX)
    ]
    for run_id in unfinished:
        api.patch("dags", DEMO, "dagRuns", run_id, body={"state": "failed"})
    return unfinished


def runs_since(api: AirflowApi, moment: datetime) -> list[str]:
    """The DAG's runs that were queued since then: its id, state and logical date."""
    runs = api.get("dags", DEMO, "dagRuns", order_by="run_after", limit=100)["dag_runs"]
    return [
        f"{run['dag_run_id']} ({run['state']}, {run['run_type']}, logical date {run['logical_date'] or 'none'})"
        for run in runs
        if run["queued_at"] and parse_time(run["queued_at"]) >= moment
    ]
