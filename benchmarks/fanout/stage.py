"""A whole Airflow with a PostgreSQL and a local AWS that simulates every step, as both contestants get it.

In: a folder for its state and what is to differ; out, inside the ``with``: a running stack.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import boto3
import psycopg
from rich.console import Console

from benchmarks.fanout.dag_files import BUCKET
from local_aws.client import LocalAws
from trainyard.databases import engine, upgrade_analytics_db, upgrade_app_db
from trainyard.laptop.airflow_api import AirflowApi, AirflowApiError, parse_time
from trainyard.laptop.airflow_config import write_airflow_config
from trainyard.laptop.credentials import load_credentials
from trainyard.laptop.environment import (
    DUMMY_KEY,
    REGION,
    airflow_environment,
    base_environment,
    database_url,
)
from trainyard.laptop.postgres import PostgresServer
from trainyard.laptop.processes import POSTGRES, marker
from trainyard.laptop.settings import ROOT, Ports, Settings
from trainyard.laptop.stack import AIRFLOW_PARTS
from trainyard.laptop.supervisor import Supervisor, supervise
from trainyard.laptop.timeline import Timeline

DEPLOYMENT = "fanout"
_START_SECONDS = 180
_FINISHED = frozenset({"success", "failed"})


@dataclass(frozen=True)
class Setting:
    """What differs between stacks.

    :param plugin: whether Airflow loads our plugin, by which workers inherit the amazon operators
    :param step_seconds: how long a cluster's step takes
    :param account: of the Variable ``trainyard_account``
    """

    plugin: bool
    step_seconds: float
    account: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """A running stack."""

    settings: Settings
    supervisor: Supervisor
    api: AirflowApi
    aws: LocalAws
    started: datetime

    def url(self, database: str) -> str:
        return database_url(self.settings, database)

    def s3(self) -> Any:
        return _client(self.settings, "s3")

    def start_run(self, dag: str) -> str:
        """Start a run of a DAG, once Airflow has read it; its id."""
        self.wait(f"the DAG {dag}", lambda: self._is_read(dag))
        self.api.patch("dags", dag, body={"is_paused": False})
        body = {"dag_run_id": f"bench-{dag}", "logical_date": None}
        return str(self.api.post("dags", dag, "dagRuns", body=body)["dag_run_id"])

    def query(self, statement: str, **parameters: str) -> Any:
        """The one value that a query of Airflow's database gives.

        It is asked for while Airflow works: its API would take a tenth of its time from it.
        """
        with psycopg.connect(self.url("airflow")) as connection:
            row = connection.execute(statement, parameters).fetchone()
        return None if row is None else row[0]

    def run_state(self, dag: str, run_id: str) -> str:
        return str(
            self.query(
                "SELECT state FROM dag_run WHERE dag_id = %(dag)s AND run_id = %(run)s", dag=dag, run=run_id
            )
        )

    def deferred(self, dag: str, run_id: str) -> int:
        """How many tasks of a run wait deferred."""
        statement = (
            "SELECT count(*) FROM task_instance "
            "WHERE dag_id = %(dag)s AND run_id = %(run)s AND state = 'deferred'"
        )
        return int(self.query(statement, dag=dag, run=run_id))

    def finish(self, dag: str, run_id: str, *, within_seconds: float, look: Callable[[], None]) -> str:
        """Wait for a run's end; its state.

        :param look: called once a second meanwhile
        """

        def ended() -> bool:
            look()
            return self.run_state(dag, run_id) in _FINISHED

        self.wait(f"the run of {dag}", ended, within_seconds=within_seconds, every_seconds=1)
        return self.run_state(dag, run_id)

    def run_seconds(self, dag: str, run_id: str) -> float:
        """Of a run that ended, from its start to its end, as Airflow has them."""
        run = self.api.get("dags", dag, "dagRuns", run_id)
        return (parse_time(run["end_date"]) - parse_time(run["start_date"])).total_seconds()

    def wait(
        self,
        what: str,
        done: Callable[[], bool],
        *,
        within_seconds: float = _START_SECONDS,
        every_seconds: float = 0.2,
    ) -> None:
        """Wait until something is so, whatever an api-server that is too busy to answer says; raises TimeoutError."""
        deadline = time.monotonic() + within_seconds
        while not _is_so(done):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"waited {within_seconds:.0f} s for {what}; logs are in {self.settings.logs}"
                )
            time.sleep(every_seconds)

    def _is_read(self, dag: str) -> bool:
        errors = self.api.get("importErrors")["import_errors"]
        if errors:
            raise RuntimeError(errors[0]["stack_trace"])
        try:
            self.api.get("dags", dag)
        except AirflowApiError as error:
            if error.status not in (0, 404):
                raise
            return False
        return True


@contextmanager
def stage(state: Path, dags: Path, setting: Setting) -> Iterator[Stage]:
    """A running stack whose Airflow parses the folder ``dags``."""
    settings = Settings(state=state, ports=_free_ports(), dags=dags)
    credentials = load_credentials(settings.run)
    timeline = Timeline(Console(stderr=True))
    with supervise(
        settings,
        stack=marker(credentials.stack_id, settings.state),
        environment=base_environment(os.environ, settings),
        command="make bench-fanout",
        tell=timeline.say,
    ) as supervisor:
        write_airflow_config(settings, credentials)
        api = AirflowApi(url=settings.airflow_url, password=credentials.password)
        started = Stage(settings, supervisor, api, LocalAws(settings.aws_url), datetime.now(tz=timezone.utc))
        with timeline.step("a stack"):
            _start(started, setting)
        yield started


def parsing_environment(scratch: Path) -> dict[str, str]:
    """For a process that parses a DAG file without a stack."""
    settings = Settings(state=scratch / "parsing", ports=Ports())
    return {
        **base_environment(os.environ, settings),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")]),
        "AIRFLOW_HOME": str(settings.airflow_home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__DAG_FACTORY__ENABLE_TELEMETRY": "false",
        "DO_NOT_TRACK": "true",
    }


def _start(stage: Stage, setting: Setting) -> None:
    settings, supervisor = stage.settings, stage.supervisor
    supervisor.start("local-aws", _local_aws(settings, setting), {"PYTHONPATH": str(ROOT)})
    server = PostgresServer(
        data_dir=settings.postgres, port=settings.ports.postgres, environment=supervisor.marked(POSTGRES)
    )
    server.initialise()
    server.start()
    supervisor.watches_postgres = True
    server.create_databases("airflow", "app", "analytics")
    airflow = airflow_environment(settings) | {
        "AIRFLOW_VAR_TRAINYARD_ACCOUNT": json.dumps({"deployment": DEPLOYMENT, **setting.account})
    }
    if not setting.plugin:
        airflow["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(settings.state / "no-plugins")
    supervisor.run("migrate", [sys.executable, "-m", "airflow", "db", "migrate"], airflow)
    for part, arguments in AIRFLOW_PARTS.items():
        supervisor.start(part, [sys.executable, "-m", "airflow", *arguments], airflow)
    stage.wait("local AWS", lambda: _answers(stage))
    _write_features(stage.s3())
    # as before any night but the first
    upgrade_app_db(engine(stage.url("app")))
    upgrade_analytics_db(engine(stage.url("analytics")))
    stage.wait("Airflow", lambda: _is_healthy(stage))


def _local_aws(settings: Settings, setting: Setting) -> list[str]:
    root, port = str(settings.state / "aws"), str(settings.ports.local_aws)
    options = ["--port", port, "--root", root, "--simulate", str(setting.step_seconds)]
    return [sys.executable, "-m", "local_aws", *options]


def _write_features(s3: Any) -> None:
    """What ours lists before a launch; the steps are simulated, so that nobody reads it."""
    s3.create_bucket(Bucket=BUCKET)
    for split in ("train", "test"):
        for name, content in (("part-0.libsvm", b"1 1:1\n0 2:1\n"), ("_SUCCESS", b"")):
            s3.put_object(Bucket=BUCKET, Key=f"features/{split}/{name}", Body=content)


def _is_so(done: Callable[[], bool]) -> bool:
    try:
        return done()
    except AirflowApiError as error:
        if error.status != 0:
            raise
        return False


def _answers(stage: Stage) -> bool:
    try:
        stage.aws.show_faults()
    except OSError:
        return False
    return True


def _is_healthy(stage: Stage) -> bool:
    try:
        health = stage.api.health()
    except AirflowApiError:
        return False
    return all(
        (health.get(part) or {}).get("status") == "healthy"
        for part in ("metadatabase", "scheduler", "dag_processor", "triggerer")
    )


def _client(settings: Settings, service: str) -> Any:
    session = boto3.session.Session(
        aws_access_key_id=DUMMY_KEY, aws_secret_access_key=DUMMY_KEY, region_name=REGION
    )
    return session.client(service, endpoint_url=settings.aws_url)


def _free_ports() -> Ports:
    sockets = [socket.socket() for _ in range(4)]
    try:
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return Ports(*(int(probe.getsockname()[1]) for probe in sockets))
    finally:
        for probe in sockets:
            probe.close()
