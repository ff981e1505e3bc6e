"""One cluster per attempt, whatever is lost between the ledger and EMR: a real PostgreSQL, boto3 against local_aws."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError
from sqlalchemy import Engine, text

from trainyard import clusters, databases, launching, ledger
from trainyard.inputs import InputMissingError
from trainyard.job_code import staged_code
from trainyard.launching import AttemptFailedError, Clients, Order, launch_or_resume
from trainyard.portfolio import Gate, Model
from trainyard.request import Lineage
from trainyard.training import Sha256, Training, split_uri

CODE = staged_code("s3://none/models", Sha256("a" * 64))


class Aws:
    """Clients of a local_aws whose clusters never leave STARTING, and the EMR calls made through them."""

    def __init__(self, endpoint_url: str) -> None:
        self.calls: list[str] = []
        # RunJobFlow is sent once, as in production
        settings: dict[str, Any] = {
            "endpoint_url": endpoint_url,
            "region_name": "us-east-1",
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
            "config": Config(retries={"total_max_attempts": 1}),
        }
        self.emr = boto3.client("emr", **settings)
        self.s3 = boto3.client("s3", **settings)
        self.emr.meta.events.register("before-call.emr", lambda model, **_: self.calls.append(model.name))

    def clusters_named(self, name: str) -> list[dict[str, Any]]:
        pages = self.emr.get_paginator("list_clusters").paginate()
        return [cluster for page in pages for cluster in page["Clusters"] if cluster["Name"] == name]


@dataclass(frozen=True)
class HandedIn:
    """What launch_or_resume is handed."""

    app: Engine
    emr: Any
    launching_emr: Any
    s3: Any


@pytest.fixture
def aws(idle_aws_url: str) -> Aws:
    return Aws(idle_aws_url)


@pytest.fixture
def clients(aws: Aws, database_url: str) -> Clients:
    app = databases.engine(database_url)
    databases.upgrade_app_db(app)
    return HandedIn(app=app, emr=aws.emr, launching_emr=aws.emr, s3=aws.s3)


@pytest.fixture
def order(aws: Aws) -> Order:
    bucket = f"launching-{uuid4().hex[:8]}"
    aws.s3.create_bucket(Bucket=bucket)
    for split in ("train", "test"):
        aws.s3.put_object(Bucket=bucket, Key=f"hotels/2026-11-22/{split}/part-0", Body=b"1 1:1\n")
        aws.s3.put_object(Bucket=bucket, Key=f"hotels/2026-11-22/{split}/_SUCCESS")
    model = Model.model_validate(
        {
            "name": "hotels",
            "inputs": {
                split: f"s3://{bucket}/{{model}}/{{data_date}}/{split}/" for split in ("train", "test")
            },
            "num_features": 1,
            "learner": {"params": {"regParam": 0.1}},
            "cluster": {
                "log_uri": f"s3://{bucket}/logs/",
                "primary": {"instance_type": "m7g.xlarge"},
                "core": {"instance_type": "m7g.xlarge", "count": 1},
            },
        }
    )
    training = Training(
        deployment="laptop",
        portfolio="demo",
        model="hotels",
        data_date=date(2026, 11, 22),
        dag_id="demo",
        run_id=f"manual__{uuid4().hex}",
        output_root=f"s3://{bucket}/models",
    )
    return Order(
        training=training,
        model=model,
        code=CODE,
        lineage=Lineage(code_sha256=Sha256("a" * 64), portfolio_sha256=Sha256("b" * 64)),
        aws_conn_id="aws_default",
    )


def test_a_first_launch_makes_one_call_and_no_list(aws: Aws, clients: Clients, order: Order) -> None:
    attempt = launch_or_resume(clients, order)
    assert aws.calls == ["RunJobFlow"]
    assert (attempt.attempt, attempt.state) == (1, "launched")
    assert [cluster["Id"] for cluster in aws.clusters_named(attempt.cluster_name)] == [attempt.cluster_id]


def test_the_request_in_s3_is_the_one_whose_hash_the_ledger_holds(clients: Clients, order: Order) -> None:
    attempt = launch_or_resume(clients, order)
    bucket, key = split_uri(order.training.request_uri(1))
    body = clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert attempt.request_sha256 == hashlib.sha256(body).hexdigest()
    request = json.loads(body)
    assert request["training"]["training_id"] == order.training.training_id
    assert [item["size"] for item in request["inputs"]["train"]] == [6]
    assert request["output"] == attempt.output_uri


def test_a_late_second_worker_leaves_the_request_of_the_first_as_it_is(
    aws: Aws, clients: Clients, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a heartbeat that was lost while the first waited for its turn to launch."""
    make_up = launching.make_up

    def overtaken(*about: Any) -> Any:
        monkeypatch.setattr(launching, "make_up", make_up)
        first.append(launch_or_resume(clients, order))
        # the second's deadline, and so its request, is later
        return make_up(*about)

    first: list[ledger.Attempt] = []
    monkeypatch.setattr(launching, "make_up", overtaken)
    with pytest.raises(ledger.LedgerError, match="does not take"):
        launch_or_resume(clients, order)
    bucket, key = split_uri(order.training.request_uri(1))
    body = clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert hashlib.sha256(body).hexdigest() == first[0].request_sha256
    assert aws.calls == ["RunJobFlow"]


def test_a_retry_resumes_the_live_attempt(aws: Aws, clients: Clients, order: Order) -> None:
    first = launch_or_resume(clients, order)
    assert launch_or_resume(clients, order).cluster_id == first.cluster_id
    assert len(aws.clusters_named(first.cluster_name)) == 1


def test_a_worker_killed_after_run_job_flow_finds_its_cluster_by_name(
    aws: Aws, clients: Clients, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "record_launch", _raises(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            launch_or_resume(clients, order)
    attempt = launch_or_resume(clients, order)
    assert attempt.attempt == 1
    assert [cluster["Id"] for cluster in aws.clusters_named(attempt.cluster_name)] == [attempt.cluster_id]


def test_a_cluster_whose_reply_was_lost_is_found_by_the_same_try(
    aws: Aws, clients: Clients, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(emr: Any, request: dict[str, Any]) -> None:
        emr.run_job_flow(**request)
        raise ReadTimeoutError(endpoint_url="http://127.0.0.1")

    monkeypatch.setattr(clusters, "launch", lose)
    attempt = launch_or_resume(clients, order)
    assert attempt.state == "launched"
    assert [cluster["Id"] for cluster in aws.clusters_named(attempt.cluster_name)] == [attempt.cluster_id]


def test_a_launch_that_nobody_ever_answers_leaves_no_intent(
    clients: Clients, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(_emr: Any, _request: dict[str, Any]) -> None:
        raise ReadTimeoutError(endpoint_url="http://127.0.0.1")

    monkeypatch.setattr(clusters, "LIST_LAG_SECONDS", 0)
    monkeypatch.setattr(clusters, "launch", lose)
    with pytest.raises(ReadTimeoutError):
        launch_or_resume(clients, order)
    (attempt,) = ledger.attempts(clients.app, order.training.training_id)
    assert (attempt.outcome, attempt.failure_code) == ("abandoned", "launch_unanswered")


def test_a_worker_killed_before_run_job_flow_launches_after_a_search(
    aws: Aws, clients: Clients, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(clusters, "launch", _raises(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            launch_or_resume(clients, order)
    monkeypatch.setattr(clusters, "LIST_LAG_SECONDS", 0)
    attempt = launch_or_resume(clients, order)
    # the list has as many pages as other tests have left clusters
    *searching, launching = aws.calls
    assert (set(searching), launching) == ({"ListClusters"}, "RunJobFlow")
    # a cluster that showed up later would have the old number's name and folder
    assert attempt.attempt == 2
    first = ledger.attempts(clients.app, order.training.training_id)[0]
    assert (first.outcome, first.failure_code) == ("abandoned", "launch_unanswered")


def test_a_worker_killed_before_the_request_was_written_goes_on_without_a_search(
    aws: Aws, clients: Clients, order: Order
) -> None:
    ledger.allocate(clients.app, training=order.training, aws_conn_id=order.aws_conn_id)
    assert launch_or_resume(clients, order).attempt == 1
    assert aws.calls == ["RunJobFlow"]


def test_a_training_that_ended_well_is_not_trained_again(aws: Aws, clients: Clients, order: Order) -> None:
    first = launch_or_resume(clients, order)
    ledger.end(clients.app, training_id=first.training_id, attempt=1, outcome="succeeded")
    bucket, key = split_uri(first.output_uri)
    clients.s3.put_object(Bucket=bucket, Key=f"{key}manifest.json", Body=b"{}")
    assert launch_or_resume(clients, order).outcome == "succeeded"
    assert aws.calls == ["RunJobFlow"]


def test_a_training_that_left_no_manifest_is_trained_again_whatever_emr_said(
    clients: Clients, order: Order
) -> None:
    """As where publish refused it, and a person cleared it."""
    first = launch_or_resume(clients, order)
    ledger.end(clients.app, training_id=first.training_id, attempt=1, outcome="succeeded")
    second = launch_or_resume(clients, order)
    assert (second.attempt, second.state) == (2, "launched")
    assert second.cluster_id != first.cluster_id


def test_a_cluster_found_to_have_ended_well_without_a_manifest_is_a_failed_attempt(
    clients: Clients, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = launch_or_resume(clients, order)
    ended = clusters.ClusterStatus(
        ledger.ClusterId(str(first.cluster_id)), "TERMINATED", "ALL_STEPS_COMPLETED", "Steps completed"
    )
    monkeypatch.setattr(clusters, "describe", lambda *_: ended)
    assert launch_or_resume(clients, order).attempt == 2
    found = ledger.attempts(clients.app, order.training.training_id)[0]
    assert (found.outcome, found.failure_code) == ("failed", "no_manifest")


def test_a_live_attempt_is_resumed_though_its_input_is_gone(clients: Clients, order: Order) -> None:
    first = launch_or_resume(clients, order)
    bucket, _ = split_uri(order.model.inputs.train)
    clients.s3.delete_object(Bucket=bucket, Key="hotels/2026-11-22/train/_SUCCESS")
    assert launch_or_resume(clients, order).cluster_id == first.cluster_id


def test_bad_data_found_by_a_later_try_gets_no_fresh_cluster(
    aws: Aws, clients: Clients, order: Order
) -> None:
    first = launch_or_resume(clients, order)
    put_failure(clients.s3, first, code="malformed_input", sentence="line 3 is none")
    clusters.terminate(aws.emr, ledger.ClusterId(str(first.cluster_id)))
    with pytest.raises(AttemptFailedError, match="malformed_input: line 3 is none"):
        launch_or_resume(clients, order)
    (ended,) = ledger.attempts(clients.app, order.training.training_id)
    assert (ended.outcome, ended.failure_code) == ("failed", "malformed_input")


def test_a_cluster_that_the_ledger_does_not_want_is_terminated_at_once(
    aws: Aws, clients: Clients, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launched_twice(emr: Any, request: dict[str, Any]) -> ledger.ClusterId:
        (intended,) = ledger.attempts(clients.app, order.training.training_id)
        another = emr.run_job_flow(**request)["JobFlowId"]
        ledger.record_launch(clients.app, training_id=intended.training_id, attempt=1, cluster_id=another)
        return ledger.ClusterId(emr.run_job_flow(**request)["JobFlowId"])

    monkeypatch.setattr(clusters, "launch", launched_twice)
    with pytest.raises(ledger.LedgerError, match="does not take"):
        launch_or_resume(clients, order)
    (attempt,) = ledger.attempts(clients.app, order.training.training_id)
    states = {c["Id"]: c["Status"]["State"] for c in aws.clusters_named(attempt.cluster_name)}
    assert states.pop(str(attempt.cluster_id)) == "STARTING"
    assert [state for state in states.values() if not state.startswith("TERMINAT")] == []


def test_a_throttled_launch_is_asked_again_and_only_then(
    aws: Aws, clients: Clients, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []
    monkeypatch.setattr(launching.time, "sleep", naps.append)
    error = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}
    emr = Throttling(aws.emr, ClientError(error, "RunJobFlow"), times=3)
    attempt = launch_or_resume(replace(clients, launching_emr=emr), order)
    assert len(naps) == 3
    assert len(aws.clusters_named(attempt.cluster_name)) == 1


def test_a_launch_that_was_throttled_for_long_goes_on_with_its_attempt_and_searches_for_nothing(
    aws: Aws, clients: Clients, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}
    throttled = replace(clients, launching_emr=Throttling(aws.emr, ClientError(error, "RunJobFlow"), times=1))
    with monkeypatch.context() as patch:
        patch.setattr(launching, "_THROTTLED_SECONDS", 0)
        with pytest.raises(clusters.LaunchThrottledError):
            launch_or_resume(throttled, order)
    attempt = launch_or_resume(clients, order)
    assert (attempt.attempt, attempt.state) == (1, "launched")
    assert aws.calls == ["RunJobFlow"]


def test_a_cluster_that_ended_meanwhile_is_followed_by_a_fresh_attempt(
    aws: Aws, clients: Clients, order: Order
) -> None:
    first = launch_or_resume(clients, order)
    clusters.terminate(aws.emr, ledger.ClusterId(str(first.cluster_id)))
    second = launch_or_resume(clients, order)
    assert (second.attempt, second.state) == (2, "launched")
    assert second.cluster_id != first.cluster_id
    ended = ledger.attempts(clients.app, order.training.training_id)[0]
    assert (ended.state, ended.outcome, ended.failure_code) == ("ended", "failed", "user_request")


def test_a_refused_request_ends_the_attempt_with_emr_s_words(clients: Clients, order: Order) -> None:
    cluster = order.model.cluster.model_copy(update={"service_role": ""})
    refused = replace(order, model=order.model.model_copy(update={"cluster": cluster}))
    with pytest.raises(clusters.LaunchRefusedError, match="ServiceRole is required"):
        launch_or_resume(clients, refused)
    (attempt,) = ledger.attempts(clients.app, order.training.training_id)
    assert (attempt.state, attempt.failure_code) == ("ended", "launch_refused")


def test_a_missing_input_takes_no_attempt(clients: Clients, order: Order) -> None:
    inputs = order.model.inputs.model_copy(
        update={"train": order.model.inputs.train.replace("/train/", "/none/")}
    )
    missing = replace(order, model=order.model.model_copy(update={"inputs": inputs}))
    with pytest.raises(InputMissingError, match="/none/"):
        launch_or_resume(clients, missing)
    assert ledger.attempts(clients.app, order.training.training_id) == []


class Throttling:
    """An EMR that throttles RunJobFlow so many times, then does it."""

    def __init__(self, emr: Any, error: ClientError, *, times: int) -> None:
        self._emr, self._error, self._times = emr, error, times

    def run_job_flow(self, **request: Any) -> Any:
        self._times -= 1
        if self._times >= 0:
            raise self._error
        return self._emr.run_job_flow(**request)


SERVING = """
WITH version AS (
    INSERT INTO serving.model_version
        (portfolio, model, data_date, training_id, attempt, artifact, artifact_sha256, feature_space, num_features,
         threshold, lineage)
    VALUES ('demo', 'hotels', '2026-11-21', :training_id, 1, ' ', repeat('a', 64), :feature_space, 1, 0.5, '{}')
    RETURNING version_id
), decision AS (
    INSERT INTO serving.decision (version_id, outcome, code, sentence)
    SELECT version_id, 'activated', 'first_version', 'the first version' FROM version
)
INSERT INTO serving.activation (version_id, portfolio, model, actor, reason)
SELECT version_id, 'demo', 'hotels', 'a test', 'the first version' FROM version
"""


@pytest.mark.parametrize(
    ("feature_space", "margin", "compared"),
    [("hotels", 0.005, True), ("of older features", 0.005, False), ("hotels", None, False)],
)
def test_the_job_is_told_what_serves_where_the_gate_compares_and_the_features_are_the_same(
    clients: Clients, order: Order, feature_space: str, margin: float | None, compared: bool
) -> None:
    served = replace(order.training, run_id="yesterday's", data_date=date(2026, 11, 21))
    ledger.allocate(clients.app, training=served, aws_conn_id="aws_default")
    with clients.app.begin() as connection:
        place = {"training_id": served.training_id, "feature_space": feature_space}
        connection.execute(text(SERVING), place)
    gated = order.model.model_copy(update={"gate": Gate(margin=margin)})
    attempt = launch_or_resume(clients, replace(order, model=gated))
    bucket, key = split_uri(order.training.request_uri(attempt.attempt))
    request = json.loads(clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    champion = {
        "version_id": 1,
        "training_id": served.training_id,
        "attempt": 1,
        "data_date": "2026-11-21",
        "folder": served.attempt_folder(1),
    }
    assert request["champion"] == (champion if compared else None)
    assert request["best_recent"] is None
    # whatever its features and the gate: publishing looks whether it still serves
    assert request["serving"] == {"version_id": 1}


def put_failure(s3: Any, attempt: ledger.Attempt, *, code: str, sentence: str) -> None:
    bucket, key = split_uri(attempt.output_uri)
    failure = {
        "format_version": 2,
        "training": None,
        "code": code,
        "sentence": sentence,
        "place": None,
        "lines": [],
    }
    s3.put_object(Bucket=bucket, Key=f"{key}failure.json", Body=json.dumps(failure).encode())


def _raises(error: type[BaseException]) -> Callable[..., None]:
    def function(*_args: Any, **_kwargs: Any) -> None:
        raise error

    return function
