"""``trainyard reap`` as a person calls it, beside a real Airflow's metadata database."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from sqlalchemy import Engine, text

from trainyard import clusters, ledger
from trainyard.databases import engine, upgrade_app_db
from trainyard.job_flow import DEPLOYMENT_TAG
from trainyard.laptop.postgres import PostgresServer
from trainyard.ledger import Attempt, ClusterId
from trainyard.training import Training

_RUN = "INSERT INTO dag_run (dag_id, run_id, run_type, run_after, state) VALUES ('shop', :run, 'manual', now(), :state)"
_WAIT = (
    "INSERT INTO task_instance (id, task_id, dag_id, run_id, pool, pool_slots, try_number, state)"
    " VALUES (gen_random_uuid(), 'hotels.wait_for_training', 'shop', :run, 'default_pool', 1, 1, :state)"
)


@dataclass
class Shell:
    """A person's shell beside an Airflow: its databases, its AWS, clusters of a deployment of the test's own."""

    environment: dict[str, str]
    database: Engine
    emr: Any
    deployment: str

    def reap(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "trainyard.cli", "reap", "--deployment", self.deployment, *options]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def run(self, run_id: str, state: str, *, wait: str | None = None) -> None:
        """A run of Airflow's, and how its wait stands."""
        with self.database.begin() as connection:
            connection.execute(text(_RUN), {"run": run_id, "state": state})
            if wait:
                connection.execute(text(_WAIT), {"run": run_id, "state": wait})

    def launch(self, run_id: str) -> Attempt:
        """A run's cluster, live and in the ledger."""
        training = Training(
            deployment=self.deployment,
            portfolio="shop",
            model="hotels",
            data_date=date(2026, 11, 22),
            dag_id="shop",
            run_id=run_id,
            output_root="s3://bucket/models",
        )
        attempt = ledger.allocate(self.database, training=training, aws_conn_id="aws")
        answer = self.emr.run_job_flow(
            Name=attempt.cluster_name,
            ReleaseLabel="emr-7.13.0",
            Instances={
                "InstanceGroups": [
                    {"InstanceRole": "MASTER", "InstanceType": "m7g.xlarge", "InstanceCount": 1}
                ]
            },
            JobFlowRole="EMR_EC2_DefaultRole",
            ServiceRole="EMR_DefaultRole",
            Tags=[{"Key": DEPLOYMENT_TAG, "Value": self.deployment}],
        )
        return ledger.record_launch(
            self.database,
            training_id=attempt.training_id,
            attempt=attempt.attempt,
            cluster_id=ClusterId(answer["JobFlowId"]),
        )

    def is_live(self, attempt: Attempt) -> bool:
        return not clusters.describe(self.emr, ClusterId(str(attempt.cluster_id))).ended


def airflow_at(url: str) -> dict[str, str]:
    """The variables by which Airflow has its metadata in a database."""
    with_driver = url.replace("postgresql://", "postgresql+psycopg://")
    return {f"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN{kind}": with_driver for kind in ("", "_ASYNC")}


@pytest.fixture(scope="module")
def metadata_url(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database that is Airflow's and the application's."""
    postgres.create_databases("reaping")
    url = postgres.url("reaping")
    environment = {**os.environ, **airflow_at(url), "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow"))}
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return url


@pytest.fixture
def shell(metadata_url: str, idle_aws_url: str, tmp_path: Path) -> Iterator[Shell]:
    database = engine(metadata_url)
    upgrade_app_db(database)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AIRFLOW"))},
        **airflow_at(metadata_url),
        "AIRFLOW_HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": idle_aws_url,
        "TRAINYARD_APP_DB_URL": metadata_url,
    }
    emr = boto3.client("emr", endpoint_url=idle_aws_url, **keys)
    yield Shell(environment, database, emr, deployment=f"d{uuid4().hex[:8]}")
    database.dispose()


def test_a_dry_run_tells_and_ends_nothing_and_then_what_no_run_waits_for_is_ended(shell: Shell) -> None:
    shell.run("waits", "running", wait="deferred")
    shell.run("launches", "running")
    shell.run("over", "failed", wait="deferred")
    shell.run("marked", "running", wait="failed")
    owned = [shell.launch(run_id) for run_id in ("waits", "launches")]
    strays = [shell.launch(run_id) for run_id in ("deleted", "marked", "over")]
    told = {
        f"{stray.cluster_id} ({stray.cluster_name}): run {stray.run_id} of shop does not wait for it"
        for stray in strays
    }

    dry = shell.reap("--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert set(dry.stdout.splitlines()) == {f"would end {line}" for line in told}
    assert all(shell.is_live(attempt) for attempt in owned + strays)

    done = shell.reap()
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.splitlines()) == {f"ended {line}" for line in told}
    assert [shell.is_live(attempt) for attempt in owned + strays] == [True] * 2 + [False] * 3
    assert shell.reap().stdout == "no cluster to end\n"


def test_where_airflow_cannot_be_read_only_age_counts_and_the_person_is_told(shell: Shell) -> None:
    stray = shell.launch("deleted")
    shell.environment |= airflow_at("postgresql://x@127.0.0.1:1/airflow")
    done = shell.reap()
    assert (done.returncode, done.stdout) == (0, "no cluster to end\n")
    assert "Airflow's runs cannot be read: only over-age clusters are ended" in done.stderr
    assert shell.is_live(stray)


def test_an_aws_that_does_not_answer_is_one_sentence(shell: Shell) -> None:
    shell.environment |= {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}
    done = shell.reap()
    assert done.returncode == 2
    assert done.stderr.startswith("trainyard: EMR cannot be asked: ")
