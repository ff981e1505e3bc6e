"""A portfolio of one model against local_aws and a real ledger; Airflow's context is played.

A shop's clusters never leave STARTING by themselves, a busy shop's run their step until they are ended; that whole runs
work is tests/test_main_job.py's to show.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from threading import Timer
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import boto3
import pytest
from airflow.sdk.exceptions import TaskDeferred
from sqlalchemy import Engine

from trainyard import databases, ledger
from trainyard.ledger import Attempt, ClusterId
from trainyard.operators import CreateTrainingCluster, RunPlan, WaitForTraining
from trainyard.portfolio import Portfolio, load_portfolio
from trainyard.training import Training, split_uri
from trainyard.watcher import TrainingTrigger, together

PORTFOLIO = """
portfolio: shop
schedule: null
start_date: 2026-11-01
owner: data-science
inputs:
  train: s3://{bucket}/{{model}}/{{data_date}}/train/
  test: s3://{bucket}/{{model}}/{{data_date}}/test/
  wait_minutes: 30
output_root: s3://{bucket}/models/
defaults:
  num_features: 10
  learner: {{params: {{regParam: 0.1}}}}
  cluster:
    log_uri: s3://{bucket}/logs/
    primary: {{instance_type: m7g.large}}
    core: {{instance_type: m7g.xlarge, count: 1}}
models:
  hotels:
"""


@dataclass
class TaskInstance:
    """What the operators use of Airflow's; XComs by task and key.

    :param max_tries: the task's retries, and whatever was tried before a person cleared it
    """

    xcoms: dict[tuple[str, str], Any]
    task_id: str = "hotels.wait_for_training"
    dag_id: str = "shop"
    run_id: str = "manual__1"
    pushed: dict[str, Any] = field(default_factory=dict)
    task: Any = field(default_factory=lambda: SimpleNamespace(retries=12))
    try_number: int = 1
    max_tries: int = 12

    def xcom_pull(self, task_ids: str, key: str = "return_value") -> Any:
        return self.xcoms.get((task_ids, key))

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@dataclass
class Shop:
    """One portfolio of one model, its databases and its AWS."""

    portfolio: Portfolio
    app: Engine
    emr: Any
    s3: Any
    bucket: str
    run_id: str = field(default_factory=lambda: f"manual__{uuid4().hex[:8]}")
    deployment: str = "laptop"
    tries: int = 0
    cleared_after: int = 0

    def run(self, run_id: str) -> Shop:
        """The same shop in another run."""
        return replace(self, run_id=run_id)

    @property
    def plan(self) -> RunPlan:
        return RunPlan(
            deployment=self.deployment,
            data_date="2026-11-22",
            models=("hotels",),
            publish=True,
            code_sha256="a" * 64,
        )

    @property
    def training(self) -> Training:
        return Training(
            deployment=self.deployment,
            portfolio="shop",
            model="hotels",
            data_date=self.plan.data_date,
            dag_id="shop",
            run_id=self.run_id,
            output_root=self.portfolio.output_root,
        )

    def context(self) -> dict[str, Any]:
        task_instance = TaskInstance(
            {("plan", "plan"): self.plan.model_dump(mode="json")},
            run_id=self.run_id,
            try_number=max(1, self.tries),
            max_tries=12 + self.cleared_after,
        )
        return {
            "ti": task_instance,
            "dag_run": SimpleNamespace(
                dag_id="shop",
                run_id=self.run_id,
                conf={},
                logical_date=None,
                start_date=datetime.now(timezone.utc),
            ),
        }

    def create(self) -> str:
        task = CreateTrainingCluster(task_id="create_cluster", portfolio=self.portfolio, model_name="hotels")
        return str(task.execute(self.context())["cluster_id"])

    def hand_over(self) -> dict[str, Any]:
        """What ``create_cluster`` returns for a wait that begins in the triggerer."""
        task = CreateTrainingCluster(
            task_id="create_cluster", portfolio=self.portfolio, model_name="hotels", hands_over=True
        )
        return task.execute(self.context())

    def wait(self) -> TrainingTrigger:
        """One try of the wait up to its deferral."""
        self.tries += 1
        with pytest.raises(TaskDeferred) as deferred:
            self.waiting_task().execute(self.context())
        trigger = deferred.value.trigger
        assert isinstance(trigger, TrainingTrigger)
        return trigger

    def wait_for_many(self, number: int) -> list[TrainingTrigger]:
        """Waits of as many models, each with a cluster."""
        first = self.wait()
        triggers = [first]
        for n in range(1, number):
            training = replace(self.training, model=f"model_{n}")
            attempt = ledger.allocate(self.app, training=training, aws_conn_id="aws_default")
            cluster_id = ClusterId(self.run_cluster(attempt.cluster_name))
            ledger.record_launch(self.app, training_id=training.training_id, attempt=1, cluster_id=cluster_id)
            arguments: dict[str, Any] = first.serialize()[1] | {"training_id": training.training_id}
            triggers.append(TrainingTrigger(**arguments | {"cluster_id": cluster_id}))
        for n, trigger in enumerate(triggers):
            task = SimpleNamespace(dag_id="shop", run_id=self.run_id, task_id=f"model_{n}.wait_for_training")
            trigger._task_instance = task
        return triggers

    def waiting_task(self) -> WaitForTraining:
        return WaitForTraining(task_id="wait_for_training", portfolio=self.portfolio, model_name="hotels")

    def attempts(self) -> list[Attempt]:
        return ledger.attempts(self.app, self.training.training_id)

    def state_of(self, cluster_id: str | None) -> str:
        return str(self.emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"])

    def is_live(self, cluster_id: str | None) -> bool:
        return not self.state_of(cluster_id).startswith("TERMINAT")

    def end_step_without_a_word(self, cluster_id: str | None) -> None:
        """As where somebody terminates the cluster, once it has begun its step."""
        while self.state_of(cluster_id) != "RUNNING":
            time.sleep(0.02)
        self.emr.terminate_job_flows(JobFlowIds=[cluster_id])

    def clear(self) -> None:
        """As a person does: Airflow allows as many tries again."""
        self.cleared_after = self.tries

    def run_cluster(self, name: str) -> str:
        """The id of a cluster that nothing of ours launched."""
        answer = self.emr.run_job_flow(
            Name=name,
            ReleaseLabel="emr-7.13.0",
            Instances={
                "InstanceGroups": [
                    {"InstanceRole": "MASTER", "InstanceType": "m7g.xlarge", "InstanceCount": 1}
                ]
            },
            JobFlowRole="EMR_EC2_DefaultRole",
            ServiceRole="EMR_DefaultRole",
        )
        return str(answer["JobFlowId"])

    def put_manifest(self, attempt: Attempt) -> None:
        bucket, key = split_uri(attempt.output_uri)
        self.s3.put_object(Bucket=bucket, Key=f"{key}manifest.json", Body=b"{}")

    def tell_failure(self, attempt: Attempt, code: str) -> None:
        bucket, key = split_uri(attempt.output_uri)
        failure = {"format_version": 2, "training": None, "code": code, "sentence": "so it is", "lines": []}
        body = json.dumps({**failure, "place": None}).encode()
        self.s3.put_object(Bucket=bucket, Key=f"{key}failure.json", Body=body)


@pytest.fixture(autouse=True)
def _nothing_is_done_later(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test leaves to be done again after some time would be done in the middle of another."""
    timers: list[Timer] = []

    class KeptTimer(Timer):
        def start(self) -> None:
            timers.append(self)
            super().start()

    monkeypatch.setattr(together, "Timer", KeptTimer)
    yield
    for timer in timers:
        timer.cancel()
        timer.join()


@pytest.fixture
def shop(idle_aws_url: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return open_shop(idle_aws_url, database_url, tmp_path, monkeypatch)


@pytest.fixture
def busy_shop(busy_aws_url: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return open_shop(busy_aws_url, database_url, tmp_path, monkeypatch)


def open_shop(aws_url: str, database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    aws = {
        "conn_type": "aws",
        "login": "testing",
        "password": "testing",
        "extra": {"region_name": "us-east-1", "endpoint_url": aws_url},
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws))
    for name in ("APP_DB", "ANALYTICS_DB"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", database_url)
    monkeypatch.setenv("AIRFLOW_VAR_TRAINYARD_ACCOUNT", '{"deployment": "laptop"}')
    bucket = f"shop-{uuid4().hex[:8]}"
    (folder / "shop.yaml").write_text(PORTFOLIO.format(bucket=bucket))
    keys: dict[str, Any] = {
        "endpoint_url": aws_url,
        "region_name": "us-east-1",
        "aws_access_key_id": "testing",
        "aws_secret_access_key": "testing",
    }
    s3 = boto3.client("s3", **keys)
    s3.create_bucket(Bucket=bucket)
    for split in ("train", "test"):
        for name, body in (("part-0", b"1 1:1\n"), ("_SUCCESS", b"")):
            s3.put_object(Bucket=bucket, Key=f"hotels/2026-11-22/{split}/{name}", Body=body)
    app = databases.engine(database_url)
    databases.upgrade_app_db(app)
    return Shop(load_portfolio(folder / "shop.yaml"), app, boto3.client("emr", **keys), s3, bucket)
