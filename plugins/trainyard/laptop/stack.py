"""Starting the whole product, part after part, each as soon as what it needs is there.

In: settings; out, inside the ``with``: a PostgreSQL, a local AWS with the demo's features, and an Airflow of
four processes, all of them healthy.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

from trainyard.databases import engine, upgrade_analytics_db, upgrade_app_db
from trainyard.laptop.airflow_api import AirflowApi, AirflowApiError, Json, parse_time
from trainyard.laptop.airflow_config import write_airflow_config
from trainyard.laptop.airflow_schema import is_at_head, remember_head
from trainyard.laptop.credentials import load_credentials
from trainyard.laptop.demo_inputs import DEMO, is_answering, write_inputs
from trainyard.laptop.demo_runs import import_errors, parsed_dag, settle, unpaused_mark
from trainyard.laptop.environment import airflow_environment, base_environment, database_url
from trainyard.laptop.postgres import PostgresServer
from trainyard.laptop.processes import POSTGRES, marker
from trainyard.laptop.settings import HOST, ROOT, Settings
from trainyard.laptop.stopping import StackStoppedError
from trainyard.laptop.supervisor import Supervisor, supervise
from trainyard.laptop.timeline import Timeline

AIRFLOW_PARTS = {
    "api-server": ["api-server"],
    # their log servers would listen on all of the machine's addresses; one of our own serves both
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
_HEALTH = ("metadatabase", "scheduler", "dag_processor", "triggerer")
_START_SECONDS = 180.0


@dataclass(frozen=True)
class Stack:
    """A started stack."""

    settings: Settings
    supervisor: Supervisor
    api: AirflowApi
    password: str
    timeline: Timeline
    started: datetime


@contextmanager
def running_stack(settings: Settings, *, command: str, timeline: Timeline) -> Iterator[Stack]:
    """The whole product inside the ``with``; see :func:`trainyard.laptop.supervisor.supervise` for errors."""
    credentials = load_credentials(settings.run)
    with supervise(
        settings,
        stack=marker(credentials.stack_id, settings.state),
        environment=base_environment(os.environ, settings),
        command=command,
        tell=timeline.say,
    ) as supervisor:
        write_airflow_config(settings, credentials)
        api = AirflowApi(url=settings.airflow_url, password=credentials.password)
        stack = Stack(
            settings, supervisor, api, credentials.password, timeline, datetime.now(tz=timezone.utc)
        )
        _start(stack)
        yield stack


def _start(stack: Stack) -> None:
    settings, supervisor, timeline = stack.settings, stack.supervisor, stack.timeline
    _start_local_aws(stack)
    with timeline.step("PostgreSQL", f"port {settings.ports.postgres}"):
        _start_postgres(stack)
    airflow = airflow_environment(settings)
    if not is_at_head(settings):
        with timeline.step("Airflow's tables"):
            supervisor.run("migrate", [sys.executable, "-m", "airflow", "db", "migrate"], airflow)
            remember_head(settings)
    if unpaused_mark(settings).exists():
        # a demo was killed; the scheduler would go on with its DAG before anybody could stop it
        with timeline.step("pausing the DAG demo"):
            supervisor.run(
                "pause", [sys.executable, "-m", "airflow", "dags", "pause", DEMO, "--yes"], airflow
            )
    for part, arguments in AIRFLOW_PARTS.items():
        supervisor.start(part, [sys.executable, "-m", "airflow", *arguments], airflow)
    with timeline.step("local AWS", f"port {settings.ports.local_aws}"):
        _wait(stack, "local AWS to answer", lambda: None if is_answering(settings) else "local-aws")
    with timeline.step("demo features and schemas"):
        write_inputs(settings)
        upgrade_app_db(engine(database_url(settings, "app")))
        upgrade_analytics_db(engine(database_url(settings, "analytics")))
    with timeline.step("Airflow", f"port {settings.ports.airflow}"):
        _wait(stack, "Airflow to be healthy", lambda: _unhealthy(stack.api, since=stack.started))
    for run_id in settle(stack.api, settings):
        timeline.say(f"the run {run_id} of an earlier demo had not finished; it is marked failed")


def demo_dag(stack: Stack) -> Json:
    """The demo's DAG as Airflow knows it since this start; raises StackStoppedError with the import errors."""
    found: list[Json] = []

    def missing() -> str | None:
        errors = import_errors(stack.api, since=stack.started)
        if errors:
            raise StackStoppedError("\n".join(["Airflow could not load:", *errors]))
        dag = parsed_dag(stack.api, since=stack.started)
        if dag is None:
            return "dag-processor"
        found.append(dag)
        return None

    _wait(stack, f"the DAG {DEMO}", missing)
    return found[-1]


def start_log_server(stack: Stack) -> None:
    """Serve the logs of running tasks to the UI, on 127.0.0.1 only."""
    arguments = ["--host", HOST, "--port", str(stack.settings.ports.log_server), "--no-access-log"]
    stack.supervisor.start(
        "log-server",
        [
            sys.executable,
            "-m",
            "uvicorn",
            "--factory",
            "airflow.utils.serve_logs.log_server:get_app",
            *arguments,
        ],
        airflow_environment(stack.settings),
    )


def _start_local_aws(stack: Stack) -> None:
    root, port = stack.settings.state / "aws", str(stack.settings.ports.local_aws)
    stack.supervisor.start(
        "local-aws",
        [sys.executable, "-m", "local_aws", "--port", port, "--root", str(root)],
        {"PYTHONPATH": str(ROOT)},
    )


def _start_postgres(stack: Stack) -> None:
    settings = stack.settings
    server = PostgresServer(
        data_dir=settings.postgres,
        port=settings.ports.postgres,
        environment=stack.supervisor.marked(POSTGRES),
    )
    server.initialise()
    server.start()
    stack.supervisor.watches_postgres = True
    server.create_databases("airflow", "app", "analytics")


def _wait(stack: Stack, what: str, missing: Callable[[], str | None]) -> None:
    """Wait until ``missing`` names no part any more."""
    deadline = time.monotonic() + _START_SECONDS
    while (part := missing()) is not None:
        if time.monotonic() > deadline:
            raise StackStoppedError(
                f"waited {_START_SECONDS:.0f} s for {what}; missing is {part}, its log is {stack.supervisor.log(part)}"
            )
        time.sleep(0.2)


def _unhealthy(api: AirflowApi, *, since: datetime) -> str | None:
    """A part of Airflow that has not sent a heartbeat since then."""
    try:
        health = api.health()
    except AirflowApiError:
        return "api-server"
    for name in _HEALTH:
        part = health.get(name) or {}
        beat = part.get(f"latest_{name}_heartbeat")
        late = name != "metadatabase" and (beat is None or parse_time(beat) < since)
        if part.get("status") != "healthy" or late:
            return name.replace("_", "-")
    return None
