"""``demo``: the main job from one command. Starts everything, trains the demo's models, shows what came of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from trainyard.databases import engine
from trainyard.laptop.airflow_api import AirflowApiError, Json
from trainyard.laptop.demo_inputs import DEMO, aws_client, demo_portfolio
from trainyard.laptop.demo_runs import FINISHED, runs_since, settle, trigger
from trainyard.laptop.environment import DEPLOYMENT, database_url
from trainyard.laptop.failures import TaskFailure, task_failures
from trainyard.laptop.progress import run_progress
from trainyard.laptop.progress_view import ProgressView
from trainyard.laptop.settings import Settings
from trainyard.laptop.stack import Stack, demo_dag, running_stack
from trainyard.laptop.stopping import StackStoppedError
from trainyard.laptop.table import result_table
from trainyard.laptop.timeline import Timeline
from trainyard.publishing import TrainingSummary, run_summary
from trainyard.training import Training, TrainingId

_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class _Outcome:
    """A finished run: its state, the ids of its trainings by model, what failed and what was published."""

    state: str
    training_ids: Mapping[str, TrainingId]
    failures: Sequence[TaskFailure]
    summaries: Sequence[TrainingSummary]

    @property
    def unpublished(self) -> list[str]:
        published = {summary.model for summary in self.summaries if summary.version_id is not None}
        return sorted(self.training_ids.keys() - published)

    @property
    def good(self) -> bool:
        return self.state == "success" and not self.unpublished


def demo(settings: Settings, timeline: Timeline) -> int:
    """Run the demo; the exit code is 0 only where every model of its run was published."""
    timeline.say("starting PostgreSQL, local AWS and Airflow")
    with running_stack(settings, command="make demo", timeline=timeline) as stack:
        good = train_and_tell(stack)
    if good:
        timeline.say(_where_next(settings))
    timeline.say(f"everything is stopped; {timeline.seconds:.0f} s in all")
    return 0 if good else 1


def train_and_tell(stack: Stack) -> bool:
    """Train the demo's models in a running stack, show what came of it; whether every one was published."""
    started = datetime.now(tz=timezone.utc)
    outcome = _train(stack)
    stack.timeline.show(result_table(outcome.summaries))
    _tell_failures(stack.timeline, outcome)
    for run in runs_since(stack.api, started):
        stack.timeline.say(f"run of this demo: {run}")
    return outcome.good


def _train(stack: Stack) -> _Outcome:
    with stack.timeline.step("the DAG demo"):
        dag = demo_dag(stack)
    run_id = trigger(stack.api, stack.settings, dag)
    training_ids = _training_ids(stack.settings, run_id)
    stack.timeline.say(f"\ntraining {len(training_ids)} models in the run {run_id}")
    try:
        state, tasks = _follow(stack, run_id, training_ids)
    finally:
        # a next start settles it where Airflow is gone already
        with suppress(AirflowApiError):
            settle(stack.api, stack.settings)
    summaries = run_summary(
        engine(database_url(stack.settings, "app")),
        engine(database_url(stack.settings, "analytics")),
        list(training_ids.values()),
    )
    return _Outcome(state, training_ids, task_failures(stack.settings, run_id, tasks), summaries)


def _training_ids(settings: Settings, run_id: str) -> dict[str, TrainingId]:
    portfolio = demo_portfolio(settings.dags)
    return {
        model: Training(
            deployment=DEPLOYMENT,
            portfolio=portfolio.name,
            model=model,
            # not part of the id
            data_date=portfolio.start_date,
            dag_id=DEMO,
            run_id=run_id,
            output_root=portfolio.output_root,
        ).training_id
        for model in portfolio.models
    }


def _follow(stack: Stack, run_id: str, training_ids: Mapping[str, TrainingId]) -> tuple[str, list[Json]]:
    """Show the run's progress until it has finished; its state and its task instances."""
    emr = aws_client(stack.settings, "emr")
    limit_seconds = stack.settings.demo_limit_minutes * 60
    with ProgressView(stack.timeline.console) as view:
        while True:
            run = stack.api.get("dags", DEMO, "dagRuns", run_id)
            tasks = stack.api.get("dags", DEMO, "dagRuns", run_id, "taskInstances", limit=100)[
                "task_instances"
            ]
            clusters: list[dict[str, Any]] = emr.list_clusters()["Clusters"]
            view.show(run_progress(tasks, clusters, training_ids))
            if run["state"] in FINISHED:
                return str(run["state"]), tasks
            if stack.timeline.seconds > limit_seconds:
                raise StackStoppedError(_overdue(stack.settings, tasks))
            time.sleep(_POLL_SECONDS)


def _overdue(settings: Settings, tasks: Sequence[Json]) -> str:
    unfinished = [
        f"{task['task_id']} ({task['state'] or 'waiting'})" for task in tasks if not task["end_date"]
    ]
    return (
        f"the demo did not finish within {settings.demo_limit_minutes} minutes (TRAINYARD_DEMO_LIMIT_MINUTES); "
        f"unfinished: {', '.join(unfinished)}; logs are in {settings.logs}"
    )


def _tell_failures(timeline: Timeline, outcome: _Outcome) -> None:
    for failure in outcome.failures:
        timeline.say(
            f"{failure.task_id} failed: {failure.sentence or 'its log says why'}\n    log: {failure.log}"
        )
    if outcome.unpublished:
        timeline.say(f"not published: {', '.join(outcome.unpublished)}")
    elif outcome.state != "success":
        timeline.say(f"the run ended as {outcome.state}")


def _where_next(settings: Settings) -> str:
    return f"""where to look next
  make up                      keep it running: Airflow's UI with this run at {settings.airflow_url}
  .venv/bin/trainyard models   what serves now, while `make up` runs; it says how to call this
  {settings.logs}   logs of every part and every task
"""
