"""Many triggers, one poll: Airflow's own manager of shared streams, boto3 against local_aws."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
import pytest
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent
from airflow.triggers.shared_stream import SharedStreamManager
from botocore.exceptions import EndpointConnectionError

from trainyard import connections, watcher
from trainyard.ledger import ClusterId
from trainyard.training import TrainingId
from trainyard.watcher import TrainingTrigger

TRAINING_ID = TrainingId("0" * 16)
RESUMED = {"training_id": TRAINING_ID, "attempt": 1}


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch, idle_aws_url: str) -> None:
    monkeypatch.setattr(watcher, "SECONDS_BETWEEN_CALLS", 0.05)
    monkeypatch.setattr(watcher, "_JITTER_SECONDS", 0)
    connection = {
        "conn_type": "aws",
        "login": "test",
        "password": "test",
        "extra": {"region_name": "us-east-1", "endpoint_url": idle_aws_url},
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))


@pytest.fixture
def emr(idle_aws_url: str) -> Any:
    return boto3.client(
        "emr",
        endpoint_url=idle_aws_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def run_cluster(emr: Any, name: str) -> ClusterId:
    primary = {"InstanceRole": "MASTER", "InstanceType": "m7g.xlarge", "InstanceCount": 1}
    answer = emr.run_job_flow(
        Name=name,
        ReleaseLabel="emr-7.13.0",
        Instances={"InstanceGroups": [primary]},
        JobFlowRole="EMR_EC2_DefaultRole",
        ServiceRole="EMR_DefaultRole",
    )
    return ClusterId(answer["JobFlowId"])


def trigger(cluster_id: ClusterId, *, seconds: float = 60) -> TrainingTrigger:
    return TrainingTrigger(
        training_id=TRAINING_ID,
        attempt=1,
        cluster_id=cluster_id,
        aws_conn_id="aws_default",
        region_name=None,
        app_db="app_db",
        give_up_at=(datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat(),
    )


async def first(events: AsyncIterator[TriggerEvent]) -> TriggerEvent:
    return await anext(aiter(events))


def watch(*triggers: TrainingTrigger) -> list[TriggerEvent]:
    """What each trigger says first, all of them on Airflow's shared stream."""

    async def everyone() -> list[TriggerEvent]:
        manager = SharedStreamManager()

        async def one(trigger_id: int, member: TrainingTrigger) -> TriggerEvent:
            key = member.shared_stream_key()
            stream = manager.subscribe(trigger_id=trigger_id, trigger=member, key=key)
            try:
                return await asyncio.wait_for(first(member.filter_shared_stream(stream)), timeout=30)
            finally:
                await manager.unsubscribe(trigger_id, key)

        return await asyncio.gather(*(one(number, member) for number, member in enumerate(triggers)))

    return asyncio.run(everyone())


def test_a_cluster_that_ended_badly_resumes_its_task_and_no_other(emr: Any) -> None:
    ended, live = run_cluster(emr, "ended"), run_cluster(emr, "live")
    emr.terminate_job_flows(JobFlowIds=[ended])
    begun = time.monotonic()
    events = watch(trigger(ended), trigger(live, seconds=2))
    assert [event.payload for event in events] == [RESUMED, RESUMED]
    assert begun + 2 <= time.monotonic()


def test_twenty_waits_cost_as_many_lists_as_one(emr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    client = connections.watching_emr_client("aws_default")
    client.meta.events.register("before-call.emr", lambda model, **_: calls.append(model.name))
    monkeypatch.setattr(connections, "watching_emr_client", lambda _conn_id: client)
    many = [run_cluster(emr, f"many-{number}") for number in range(20)]
    watch(*(trigger(cluster_id, seconds=1) for cluster_id in many))
    assert "DescribeCluster" not in calls
    # one second at one call every 0.05 s, however many wait
    assert 1 < calls.count("ListClusters") <= 25


def test_success_ends_the_task_in_the_triggerer(monkeypatch: pytest.MonkeyPatch, emr: Any) -> None:
    ended: list[Any] = []
    monkeypatch.setattr(TrainingTrigger, "_end", lambda _self, *words: ended.append(words))
    status = watcher.ClusterStatus(ClusterId("j-1"), "TERMINATING", "ALL_STEPS_COMPLETED", "Steps completed")

    async def stream() -> AsyncIterator[watcher.Sighting]:
        yield watcher.Sighting({ClusterId("j-1"): status})

    event = asyncio.run(first(trigger(ClusterId("j-1")).filter_shared_stream(stream())))
    assert isinstance(event, TaskSuccessEvent)
    assert ended == [("succeeded", None, None)]


def test_an_emr_that_does_not_answer_delays_and_fails_nothing(
    emr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = run_cluster(emr, "ended while EMR was away")
    emr.terminate_job_flows(JobFlowIds=[ended])
    client = connections.watching_emr_client("aws_default")
    failures = 3

    def away(_conn_id: str) -> Any:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1")
        return client

    monkeypatch.setattr(connections, "watching_emr_client", away)
    (event,) = watch(trigger(ended))
    assert event.payload == RESUMED
    assert failures == -1


def test_the_time_limit_runs_while_emr_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_conn_id: str) -> Any:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1")

    monkeypatch.setattr(connections, "watching_emr_client", away)
    (event,) = watch(trigger(ClusterId("j-NEVERSEEN1234"), seconds=1))
    assert event.payload == RESUMED


def test_a_missing_aws_connection_is_an_error_and_not_boto3_s_own_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT")
    with pytest.raises(Exception, match="aws_default"):
        connections.watching_emr_client("aws_default")
