"""What the tasks do on retries, clears and ends, against local_aws and a real ledger; Airflow's context is played.

The clusters never leave STARTING by themselves; that whole runs work is tests/test_main_job.py's to show.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import boto3
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred
from sqlalchemy import Engine

from trainyard import connections, databases, ledger, watcher
from trainyard.ledger import Attempt, ClusterId
from trainyard.operators import CreateTrainingCluster, Freshness, Plan, RunPlan, WaitForTraining
from trainyard.portfolio import Portfolio, load_portfolio
from trainyard.training import Training, split_uri
from trainyard.watcher import TrainingTrigger

PORTFOLIO = """
portfolio: shop
schedule: null
start_date: 2026-11-01
owner: data-science
inputs:
  train: s3://{bucket}/{{model}}/{{data_date}}/train/
  test: s3://{bucket}/{{model}}/{{data_date}}/test/
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
    """What the operators use of Airflow's; XComs by task and key."""

    xcoms: dict[tuple[str, str], Any]
    task_id: str = "hotels.wait_for_training"
    dag_id: str = "shop"
    run_id: str = "manual__1"
    pushed: dict[str, Any] = field(default_factory=dict)

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

    @property
    def plan(self) -> RunPlan:
        return RunPlan(
            deployment="laptop",
            data_date="2026-11-22",
            models=("hotels",),
            publish=True,
            code_sha256="a" * 64,
            script="s3://code/train_evaluate.py",
            py_files="s3://code/training_job.zip",
        )

    @property
    def training(self) -> Training:
        return Training(
            deployment="laptop",
            portfolio="shop",
            model="hotels",
            data_date=self.plan.data_date,
            dag_id="shop",
            run_id=self.run_id,
            output_root=self.portfolio.output_root,
        )

    def context(self) -> dict[str, Any]:
        task_instance = TaskInstance(
            {("plan", "plan"): self.plan.model_dump(mode="json")}, run_id=self.run_id
        )
        return {
            "ti": task_instance,
            "dag_run": SimpleNamespace(dag_id="shop", run_id=self.run_id, conf={}, logical_date=None),
        }

    def create(self) -> str:
        task = CreateTrainingCluster(task_id="create_cluster", portfolio=self.portfolio, model_name="hotels")
        return task.execute(self.context())

    def wait(self) -> TrainingTrigger:
        """One try of the wait up to its deferral."""
        with pytest.raises(TaskDeferred) as deferred:
            self.waiting_task().execute(self.context())
        trigger = deferred.value.trigger
        assert isinstance(trigger, TrainingTrigger)
        return trigger

    def waiting_task(self) -> WaitForTraining:
        return WaitForTraining(task_id="wait_for_training", portfolio=self.portfolio, model_name="hotels")

    def attempts(self) -> list[Attempt]:
        return ledger.attempts(self.app, self.training.training_id)

    def state_of(self, cluster_id: str | None) -> str:
        return str(self.emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"])

    def is_live(self, cluster_id: str | None) -> bool:
        return not self.state_of(cluster_id).startswith("TERMINAT")

    def tell_failure(self, attempt: Attempt, code: str) -> None:
        bucket, key = split_uri(attempt.output_uri)
        failure = {"format_version": 1, "training": None, "code": code, "sentence": "so it is", "lines": []}
        body = json.dumps({**failure, "place": None}).encode()
        self.s3.put_object(Bucket=bucket, Key=f"{key}failure.json", Body=body)


@pytest.fixture
def shop(idle_aws_url: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    aws = {
        "conn_type": "aws",
        "login": "testing",
        "password": "testing",
        "extra": {"region_name": "us-east-1", "endpoint_url": idle_aws_url},
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws))
    for name in ("APP_DB", "ANALYTICS_DB"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", database_url)
    monkeypatch.setenv("AIRFLOW_VAR_TRAINYARD_ACCOUNT", '{"deployment": "laptop"}')
    bucket = f"shop-{uuid4().hex[:8]}"
    (tmp_path / "shop.yaml").write_text(PORTFOLIO.format(bucket=bucket))
    keys: dict[str, Any] = {
        "endpoint_url": idle_aws_url,
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
    return Shop(load_portfolio(tmp_path / "shop.yaml"), app, boto3.client("emr", **keys), s3, bucket)


def test_the_wait_is_for_the_cluster_that_create_launched(shop: Shop) -> None:
    cluster_id = shop.create()
    trigger = shop.wait()
    assert (trigger.cluster_id, trigger.attempt) == (cluster_id, 1)
    assert shop.attempts()[0].awaited_at is not None


def test_a_wait_that_comes_late_without_having_waited_adopts_the_cluster(shop: Shop) -> None:
    """As after a clear of both tasks, or a worker that died on its way: the try number says nothing."""
    cluster_id = shop.create()
    assert shop.create() == cluster_id
    assert shop.wait().cluster_id == cluster_id
    assert shop.is_live(cluster_id)


def test_a_new_try_of_the_wait_ends_the_cluster_and_takes_a_fresh_one(shop: Shop) -> None:
    first = shop.create()
    shop.wait()
    second = shop.wait()
    assert (second.attempt, second.cluster_id != first) == (2, True)
    assert not shop.is_live(first)
    assert shop.is_live(second.cluster_id)
    ended = shop.attempts()[0]
    assert (ended.outcome, ended.failure_code) == ("abandoned", "superseded")


def test_a_wait_for_a_training_that_ended_well_is_over_at_once(shop: Shop) -> None:
    shop.create()
    ledger.end(shop.app, training_id=shop.training.training_id, attempt=1, outcome="succeeded")
    shop.waiting_task().execute(shop.context())
    assert len(shop.attempts()) == 1


def test_a_wait_whose_create_was_marked_success_by_hand_launches(shop: Shop) -> None:
    assert shop.is_live(shop.wait().cluster_id)


def resumed(shop: Shop, trigger: TrainingTrigger) -> None:
    event = {"training_id": trigger.training_id, "attempt": trigger.attempt}
    shop.waiting_task().execute_complete(shop.context(), event)


def test_an_overdue_cluster_is_terminated_and_may_be_tried_again(shop: Shop) -> None:
    cluster_id = shop.create()
    trigger = shop.wait()
    with pytest.raises(AirflowException, match=f"overdue: cluster {cluster_id} did not end in time") as error:
        resumed(shop, trigger)
    assert not isinstance(error.value, AirflowFailException)
    assert not shop.is_live(cluster_id)
    assert shop.attempts()[0].failure_code == "overdue"


def test_bad_data_fails_the_task_for_good_in_the_job_s_own_words(shop: Shop) -> None:
    cluster_id = shop.create()
    trigger = shop.wait()
    shop.tell_failure(shop.attempts()[0], "malformed_input")
    shop.emr.terminate_job_flows(JobFlowIds=[cluster_id])
    with pytest.raises(AirflowFailException, match="malformed_input: so it is"):
        resumed(shop, trigger)
    assert shop.attempts()[0].failure_code == "malformed_input"


def test_an_end_that_nobody_explains_is_retried_once(shop: Shop) -> None:
    errors = []
    for _ in range(2):
        trigger = shop.wait()
        shop.emr.terminate_job_flows(JobFlowIds=[trigger.cluster_id])
        with pytest.raises(AirflowException) as error:
            resumed(shop, trigger)
        errors.append(error.type)
    assert errors == [AirflowException, AirflowFailException]


def test_the_judged_attempt_is_the_one_that_was_waited_for(shop: Shop) -> None:
    trigger = shop.wait()
    shop.emr.terminate_job_flows(JobFlowIds=[trigger.cluster_id])
    newer = shop.create()
    with pytest.raises(AirflowException):
        resumed(shop, trigger)
    assert shop.is_live(newer)
    assert [attempt.state for attempt in shop.attempts()] == ["ended", "launched"]


def test_a_missing_input_tells_publish_why_there_is_no_attempt(shop: Shop) -> None:
    shop.s3.delete_object(Bucket=shop.bucket, Key="hotels/2026-11-22/train/_SUCCESS")
    context = shop.context()
    task = CreateTrainingCluster(task_id="create_cluster", portfolio=shop.portfolio, model_name="hotels")
    with pytest.raises(AirflowFailException, match="input_missing"):
        task.execute(context)
    assert context["ti"].pushed["not_launched"]["code"] == "input_missing"


def kill(shop: Shop, trigger: TrainingTrigger, state: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The triggerer ends the trigger, and Airflow says how the task stands."""
    states = {shop.run_id: {"hotels.wait_for_training": state}}
    monkeypatch.setattr(watcher.RuntimeTaskInstance, "get_task_states", lambda **_: states)
    trigger._task_instance = TaskInstance({}, run_id=shop.run_id)
    asyncio.run(trigger.on_kill())


@pytest.mark.parametrize("state", ["failed", "success", None, "queued"])
def test_a_task_ended_by_a_person_ends_its_cluster(
    shop: Shop, state: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger = shop.wait()
    kill(shop, trigger, state, monkeypatch)
    assert not shop.is_live(trigger.cluster_id)
    assert shop.attempts()[0].failure_code == "task_ended"


def test_a_triggerer_that_stalled_ends_no_cluster_of_a_task_that_still_waits(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger = shop.wait()
    kill(shop, trigger, "deferred", monkeypatch)
    assert shop.is_live(trigger.cluster_id)
    assert shop.attempts()[0].state == "launched"


def test_a_trigger_comes_back_from_its_serialized_form(shop: Shop) -> None:
    trigger = shop.wait()
    path, arguments = trigger.serialize()
    assert path == "trainyard.watcher.TrainingTrigger"
    assert json.loads(json.dumps(arguments)) == arguments
    assert TrainingTrigger(**arguments).serialize() == trigger.serialize()


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, "is not set"),
        ("{}", "deployment"),
        ('{"deployment": "Über"}', "Über"),
        ('{"deployment": "laptop", "cap": 5}', "cap"),
        ("laptop", "Invalid JSON"),
    ],
)
def test_a_mistaken_account_fails_the_run_before_anything_is_made(
    shop: Shop, value: str | None, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_VAR_TRAINYARD_ACCOUNT")
    monkeypatch.setattr(connections.Variable, "get", lambda _name, default: value or default)
    with pytest.raises(AirflowFailException, match="trainyard_account") as error:
        Plan(task_id="plan", portfolio=shop.portfolio).choose_branch(
            {**shop.context(), "params": {"models": [], "data_date": None, "publish": True}}
        )
    assert sentence in str(error.value)
    assert 'expected a JSON object such as {"deployment": "production"}' in str(error.value)


def freshness(*statuses: str, min_fresh: int | None) -> None:
    outcomes = [
        {"model": f"model_{number}", "status": status, "sentence": "because"}
        for number, status in enumerate(statuses)
    ]
    report = {"data_date": "2026-11-22", "outcomes": outcomes}
    context = {"ti": TaskInstance({("publish", "return_value"): report})}
    Freshness(task_id="freshness", min_fresh=min_fresh).execute(context)


def test_a_run_is_red_where_fewer_models_are_fresh_than_demanded() -> None:
    freshness("activated", "recorded", "measured", min_fresh=None)
    freshness("activated", "failed", min_fresh=1)
    # a choice of fewer models than are demanded of a whole night
    freshness("activated", min_fresh=3)
    with pytest.raises(
        AirflowFailException, match=r"1 of 2 models are fresh .* 2 are demanded\. model_1: because"
    ):
        freshness("activated", "failed", min_fresh=None)


def test_a_watching_client_that_is_known_is_used_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    trigger = shop.wait()
    monkeypatch.setitem(watcher._clients, "aws_default", shop.emr)

    def no_client(_conn_id: str) -> None:
        raise AssertionError("a client was made")

    monkeypatch.setattr(connections, "watching_emr_client", no_client)
    kill(shop, trigger, "failed", monkeypatch)
    assert not shop.is_live(ClusterId(trigger.cluster_id))
