"""An Airflow of the suite's own, part by part, so that a test may kill one, and the accounts and databases around it.

Every process carries the mark of one stack and is ended by a guard, also when the tests themselves are killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import boto3
import psutil
import psycopg

from local_aws.client import LocalAws
from tests.conftest import free_port
from trainyard.databases import engine, upgrade_app_db
from trainyard.laptop.airflow_api import AirflowApi, AirflowApiError, Json
from trainyard.laptop.airflow_config import write_airflow_config
from trainyard.laptop.credentials import load_credentials
from trainyard.laptop.environment import airflow_environment, base_environment
from trainyard.laptop.guard import guard_command, start_guard
from trainyard.laptop.logs import last_lines
from trainyard.laptop.postgres import PostgresServer
from trainyard.laptop.processes import PART_VARIABLE, STACK_VARIABLE, members
from trainyard.laptop.settings import HOST, ROOT, Ports, Settings

HERE = Path(__file__).parent
DATA_DATE = "2026-11-22"
BUCKET = "yard"
PARTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
Found = TypeVar("Found")

# No sleeps as synchronisation: these bound how long Airflow takes to notice what died
_NOTICED_SOON = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    # workers that wait for a stalled AWS must not keep the others from running
    "AIRFLOW__CORE__PARALLELISM": "12",
    # nor their requests from being answered
    "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "50",
    "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "64",
    "AIRFLOW__CORE__MAX_ACTIVE_RUNS_PER_DAG": "32",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
}


def wait_for(look: Callable[[], Found | None], what: str, *, seconds: float = 300) -> Found:
    """What ``look`` gives as soon as it gives something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(1)
    return found


@dataclass
class Account:
    """A local AWS of simulated steps: its process, its faults, and what its journal has told before it was killed."""

    root: Path
    environment: Mapping[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    lives_before: list[Json] = field(default_factory=list)
    calls_before: list[Json] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def aws(self) -> LocalAws:
        return LocalAws(self.url)

    def client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        return boto3.client(service, endpoint_url=self.url, **keys)

    def start(self) -> Account:
        paces = ("--simulate", "10", "--provision-seconds", "1", "--bootstrap-seconds", "1")
        command = [sys.executable, "-m", "local_aws", "--port", str(self.port), "--root", str(self.root)]
        with (self.root.parent / f"{self.root.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *paces],
                cwd=ROOT,
                env={**self.environment, "PYTHONPATH": str(ROOT), "AWS_ENDPOINT_URL": self.url},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self._answers, f"local_aws on port {self.port}", seconds=60)
        return self

    def kill(self) -> None:
        """End it as a crash would; its journal, which is in its memory, is kept here."""
        self.lives_before, self.calls_before = self.lives(), self.calls()
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def fill(self, models: list[str]) -> None:
        """The bucket with every model's features."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        for model in models:
            for split in ("train", "test"):
                for name, body in (("part-0", b"1 1:1\n"), ("_SUCCESS", b"")):
                    s3.put_object(Bucket=BUCKET, Key=f"{model}/{DATA_DATE}/{split}/{name}", Body=body)

    def lives(self, cluster: str = "*") -> list[Json]:
        """The life of every cluster, over kills of the process."""
        before = [life for life in self.lives_before if fnmatchcase(life["name"], cluster)]
        return _merged(before, self.aws.lives(cluster=cluster))

    def calls(self, operation: str = "*", cluster: str = "*") -> list[Json]:
        before = [
            call
            for call in self.calls_before
            if fnmatchcase(call["operation"], operation)
            and (cluster == "*" or any(fnmatchcase(name, cluster) for name in call["cluster_names"]))
        ]
        return before + self.aws.calls(operation=operation, cluster=cluster)

    def _answers(self) -> bool:
        try:
            self.aws.show_faults()
        except OSError:
            return False
        return True


def _merged(before: list[Json], now: list[Json]) -> list[Json]:
    lives = {life["cluster_id"]: life for life in before}
    for life in now:
        earlier = lives.get(life["cluster_id"], {"changes": []})
        lives[life["cluster_id"]] = {**life, "changes": [*earlier["changes"], *life["changes"]]}
    return list(lives.values())


@dataclass
class Airflow:
    """One Airflow: its configuration, its processes by part, its API.

    :param environment: of its processes, over what the laptop gives them
    """

    settings: Settings
    stack: str
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @cached_property
    def api(self) -> Api:
        credentials = load_credentials(self.settings.run)
        return Api(url=self.settings.airflow_url, password=credentials.password)

    def run(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "airflow", *arguments]
        done = subprocess.run(
            command, env=self._marked("run"), capture_output=True, text=True, check=False, timeout=180
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self, *parts: str) -> None:
        """Start parts; a name may end in ``-2`` and so on, for a second of the kind."""
        self.settings.logs.mkdir(parents=True, exist_ok=True)
        for part in parts:
            arguments = PARTS[part.rstrip("-0123456789")]
            with (self.settings.logs / f"{part}.log").open("ab") as log:
                self.processes[part] = subprocess.Popen(
                    [sys.executable, "-m", "airflow", *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._marked(part),
                    cwd=self.settings.state,
                    start_new_session=True,
                )

    def wait_until_healthy(self) -> None:
        def healthy() -> bool:
            for part, process in self.processes.items():
                said = "\n".join(last_lines(self.settings.logs / f"{part}.log", 20))
                assert process.poll() is None, f"{part} ended by itself:\n{said}"
            try:
                health = self.api.health()
            except AirflowApiError:
                return False
            return all(
                (health.get(name) or {}).get("status") == "healthy"
                for name in ("metadatabase", "scheduler", "dag_processor", "triggerer")
            )

        wait_for(healthy, "Airflow to be healthy", seconds=180)

    def wait_until_parsed(self, dag_ids: set[str]) -> None:
        def parsed() -> bool:
            assert self.api.get("importErrors")["import_errors"] == []
            return dag_ids <= {dag["dag_id"] for dag in self.api.get("dags", limit=100)["dags"]}

        wait_for(parsed, "the DAGs to be parsed", seconds=120)

    def signal(self, part: str, number: signal.Signals) -> None:
        """Send it to a part and all that descends from it."""
        parent = psutil.Process(self.processes[part].pid)
        for process in (parent, *parent.children(recursive=True)):
            process.send_signal(number)

    def kill(self, part: str) -> None:
        """End a part, and what it started, as the death of its machine would."""
        self.signal(part, signal.SIGKILL)
        self.processes.pop(part).wait()

    def terminate(self, part: str) -> None:
        """Ask a part to end, as an operator of a machine does, and see it gone."""
        process = self.processes.pop(part)
        process.terminate()
        process.wait(60)

    def kill_all(self) -> None:
        for part in list(self.processes):
            self.kill(part)

    def _marked(self, part: str) -> dict[str, str]:
        return {**self.environment, STACK_VARIABLE: self.stack, PART_VARIABLE: part}


class Api(AirflowApi):
    """Airflow's API with what only a test asks for: DELETE, and many threads that ask.

    One request at a time: the api-server of a laptop has few connections to its database, and hangs when they run out.
    """

    lock = threading.Lock()

    def _send(self, *arguments: Any, **named: Any) -> Json:
        with self.lock:
            return super()._send(*arguments, **named)

    def delete(self, *path: str) -> None:
        try:
            self._call("DELETE", path)
        except AirflowApiError as error:
            # deleted, and nothing said
            if error.status != 0:
                raise


@dataclass
class Yard:
    """All that the suite shares.

    :param far_airflow: another deployment's, not started
    :param mortal_postgres: holds the ledger ``app_mortal``, and nothing of Airflow's
    :param points: the folder of ``fault_points``
    """

    airflow: Airflow
    far_airflow: Airflow
    accounts: dict[str, Account]
    postgres: PostgresServer
    mortal_postgres: PostgresServer
    points: Path
    portfolios: Mapping[str, Grown]

    @property
    def dags(self) -> Path:
        return self.airflow.settings.dags


@dataclass(frozen=True)
class Grown:
    """A portfolio of the suite.

    :param aws: Airflow connection to its account, which is a local AWS of its own
    :param app_db: Airflow connection to its ledger
    :param change: what its DAG file does to the DAG, a function of ``fault_points``
    """

    models: tuple[str, ...] = ("apples", "pears")
    aws: str = "aws_default"
    app_db: str = "app_db"
    change: str = "hasten"

    def write(self, dags: Path, name: str) -> None:
        """Its YAML, and the DAG file that loads it as the product's own does."""
        listed = "".join(f"  {model}:\n" for model in self.models)
        connections = json.dumps({"aws": self.aws, "app_db": self.app_db})
        (dags / "portfolios" / f"{name}.yaml").write_text(
            _PORTFOLIO.format(name=name, bucket=BUCKET, models=listed, connections=connections)
        )
        (dags / f"{name}.py").write_text(_DAG_FILE.format(change=self.change))


_PORTFOLIO = """
portfolio: {name}
schedule: null
start_date: 2026-11-01
owner: data-science
connections: {connections}
inputs:
  train: s3://{bucket}/{{model}}/{{data_date}}/train/
  test: s3://{bucket}/{{model}}/{{data_date}}/test/
output_root: s3://{bucket}/models/
defaults:
  num_features: 240
  learner: {{params: {{regParam: 0.1}}}}
  cluster:
    deadline_minutes: 1
    log_uri: s3://{bucket}/logs/
    primary: {{instance_type: m7g.large}}
    core: {{instance_type: m7g.xlarge, count: 2, market: SPOT}}
models:
{models}"""

_DAG_FILE = '''
"""The portfolio as the product has it, with what the tests inject; Airflow wants to read of a DAG here."""

from fault_points import {change}

from trainyard.dag_factory import portfolio_dag

dag = {change}(portfolio_dag(__file__))
'''

_REAPER = '''
"""The product's reaper, at a test's demand instead of every hour."""

from airflow.sdk import DAG

from trainyard.operators import Reap

with DAG("reaper_now", schedule=None) as dag:
    Reap(task_id="reap", app_db="app_db")
'''


@contextmanager
def running_yard(root: Path, portfolios: Mapping[str, Grown]) -> Iterator[Yard]:
    """The suite's stack inside the ``with``."""
    dags = root / "dags"
    (dags / "portfolios").mkdir(parents=True)
    points = root / "points"
    points.mkdir()
    for name, portfolio in portfolios.items():
        portfolio.write(dags, name)
    (dags / "reaper_now.py").write_text(_REAPER)
    stack = f"faults-{os.getpid()}-{root.name}"
    with _guarded(root, stack) as marked:
        postgres = PostgresServer(root / "postgres", free_port(), environment=marked)
        mortal = PostgresServer(root / "mortal_postgres", free_port(), environment=marked)
        for server in (postgres, mortal):
            server.initialise()
            server.start()
        postgres.create_databases("airflow", "app", "analytics", "far_app", "far_analytics")
        mortal.create_databases("app")
        for server, name in ((postgres, "app"), (postgres, "far_app"), (mortal, "app")):
            upgrade_app_db(engine(server.url(name)))
        accounts = {each.aws: Account(root / each.aws, marked) for each in portfolios.values()}
        for account in accounts.values():
            account.start()
            account.fill(sorted({model for each in portfolios.values() for model in each.models}))
        databases = {"app_mortal": mortal.url("app")}
        shared = _connections(accounts, databases) | {"TRAINYARD_FAULT_POINTS": str(points)}
        airflow = _airflow(root / "near", dags, postgres, accounts["aws_default"], stack, shared)
        airflow.run("db", "migrate")
        airflow.run("pools", "set", "no_place", "0", "of waits that no worker takes")
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE far_airflow TEMPLATE airflow")
        far = {
            "AIRFLOW_CONN_APP_DB": postgres.url("far_app"),
            "AIRFLOW_CONN_ANALYTICS_DB": postgres.url("far_analytics"),
            "AIRFLOW_VAR_TRAINYARD_ACCOUNT": _account("near-by"),
        }
        for name in ("SQL_ALCHEMY_CONN", "SQL_ALCHEMY_CONN_ASYNC"):
            url = postgres.url("far_airflow").replace("postgresql://", "postgresql+psycopg://")
            far[f"AIRFLOW__DATABASE__{name}"] = url
        far_airflow = _airflow(root / "far", dags, postgres, accounts["aws_default"], stack, shared | far)
        airflow.start(*PARTS)
        airflow.wait_until_healthy()
        airflow.wait_until_parsed({*portfolios, "reaper_now"})
        yield Yard(airflow, far_airflow, accounts, postgres, mortal, points, portfolios)


def _airflow(
    state: Path, dags: Path, postgres: PostgresServer, account: Account, stack: str, extra: dict[str, str]
) -> Airflow:
    ports = Ports(postgres=postgres.port, local_aws=account.port, airflow=free_port(), log_server=free_port())
    settings = Settings(state=state, ports=ports, dags=dags)
    write_airflow_config(settings, load_credentials(settings.run))
    environment = base_environment(os.environ, settings) | airflow_environment(settings)
    environment["PYTHONPATH"] += os.pathsep + str(HERE / "injected")
    environment["AIRFLOW_VAR_TRAINYARD_ACCOUNT"] = _account("near")
    return Airflow(settings, stack, environment | _NOTICED_SOON | extra)


def _account(deployment: str) -> str:
    """No pace of launches: what is tested here is what goes wrong with them, not how fast they come."""
    return json.dumps({"deployment": deployment, "launches_per_minute": None})


def _connections(accounts: dict[str, Account], databases: dict[str, str]) -> dict[str, str]:
    aws = {
        f"AIRFLOW_CONN_{name.upper()}": json.dumps(
            {
                "conn_type": "aws",
                "login": "test",
                "password": "test",
                "extra": {"region_name": "us-east-1", "endpoint_url": account.url},
            }
        )
        for name, account in accounts.items()
    }
    return aws | {f"AIRFLOW_CONN_{name.upper()}": url for name, url in databases.items()}


@contextmanager
def _guarded(root: Path, stack: str) -> Iterator[dict[str, str]]:
    """The environment of all processes, which are ended with the ``with`` or with this process."""
    ports = Ports(postgres=1, local_aws=2, airflow=3, log_server=4)
    environment = base_environment(os.environ, Settings(state=root, ports=ports))
    marked = {**environment, STACK_VARIABLE: stack, PART_VARIABLE: "account"}
    with Path(os.devnull).open() as nothing:
        guard = start_guard(
            guard_command(stack=stack, state=root, patience_seconds=3),
            log=root / "guard.log",
            environment={**environment, STACK_VARIABLE: stack, PART_VARIABLE: "guard"},
            keep_open=nothing.fileno(),
        )
        try:
            yield marked
        finally:
            guard.let_go()
            wait_for(lambda: guard.is_done(within_seconds=1), "the stack to end", seconds=90)
            assert members(stack) == []
