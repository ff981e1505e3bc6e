"""Hundreds of launches against EMR's own limit on RunJobFlow: no task fails, and hardly any time is lost.

The limit is a token bucket as EMR's quota is, ten at once and one every two seconds; what comes beyond is throttled.
Our pace is the account's default, which is the same. Counted is the time from the run's start until every model's
training has ended, steps of five seconds and all, against what the limit alone takes for the launches.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.fanout import dag_files
from benchmarks.fanout.stage import Setting, Stage, stage
from benchmarks.figures import Figure
from local_aws.faults.kinds import FAULTS
from trainyard.laptop.airflow_api import Json, parse_time

STEP_SECONDS = 5
BURST, PER_SECOND = 10, 0.5
LIMIT = FAULTS.validate_python(
    [{"kind": "throttle", "calls": ["RunJobFlow"], "burst": BURST, "refill_per_second": PER_SECOND}]
)
_PAGE = 100


def measure(scratch: Path, models: int) -> dict[str, Figure]:
    """Seconds against the limit's own."""
    limit_seconds = (models - BURST) / PER_SECOND
    dags = scratch / "dags"
    dag_files.write_ours(dags, dag_files.model_names(models))
    with stage(scratch / "state", dags, Setting(plugin=True, step_seconds=STEP_SECONDS)) as running:
        running.aws.add_faults(*LIMIT)
        run_id = running.start_run(dag_files.OURS)
        # `publish` finds no manifest of any: its run is red, and no part of this
        running.finish(dag_files.OURS, run_id, within_seconds=2 * limit_seconds + 600, look=lambda: None)
        run = running.api.get("dags", dag_files.OURS, "dagRuns", run_id)
        tasks = [task for task in _tasks(running, run_id) if "." in task["task_id"]]
        began = parse_time(run["start_date"])
        launches = running.aws.calls(operation="RunJobFlow")
        done = [parse_time(call["at"]) for call in launches if call["status"] == 200]
        ended = max(parse_time(task["end_date"]) for task in tasks)
        took = (max(done) - min(done)).total_seconds()
        trained = (ended - began).total_seconds()
    return {
        "launching, models": Figure(models),
        "launching, the limit alone, s": Figure(limit_seconds),
        "launching, first to last RunJobFlow, s": Figure(took),
        "launching, run's start to last training's end, s": Figure(trained),
        "launching, first to last over the limit": Figure(took / limit_seconds, 1.1),
        "launching, all trained over the limit": Figure(trained / limit_seconds, 1.1),
        "launching, clusters": Figure(len(done)),
        "launching, calls throttled": Figure(len(launches) - len(done)),
        "launching, tasks that failed or were tried again": Figure(
            sum(task["state"] != "success" or task["try_number"] != 1 for task in tasks), 0
        ),
        "launching, models without a cluster of their own": Figure(abs(models - len(done)), 0),
    }


def _tasks(running: Stage, run_id: str) -> list[Json]:
    found: list[Json] = []
    while True:
        page = running.api.get(
            "dags", dag_files.OURS, "dagRuns", run_id, "taskInstances", limit=_PAGE, offset=len(found)
        )
        found += page["task_instances"]
        if len(found) >= page["total_entries"]:
            return found
