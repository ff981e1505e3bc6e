"""Many triggers, one poll: Airflow's own manager of shared streams, boto3 against local_aws."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Hashable
from datetime import date, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock, call
from uuid import uuid4

import boto3
import pytest
from airflow.triggers.base import BaseEventTrigger, TaskSuccessEvent, TriggerEvent
from airflow.triggers.shared_stream import SharedStreamManager
from botocore.exceptions import EndpointConnectionError
from sqlalchemy import Engine, text

from trainyard import connections, databases, ledger
from trainyard.clusters import ACTIVE_STATES, active_clusters
from trainyard.driver_log import Logs, find_logs
from trainyard.ledger import ClusterId
from trainyard.training import Training, TrainingId
from trainyard.watcher import AdmissionTrigger, InputTrigger, LogTrigger, TrainingTrigger, looks, poll
from trainyard.watcher import input as input_watch
from trainyard.watcher import log as log_watch

TRAINING_ID = TrainingId("0" * 16)
RESUMED = {"training_id": TRAINING_ID, "attempt": 1}


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch, idle_aws_url: str) -> None:
    monkeypatch.setattr(poll, "SECONDS_BETWEEN_CALLS", 0.05)
    monkeypatch.setattr(poll, "_seconds_between_calls", lambda: 0.05)
    monkeypatch.setattr(poll, "_JITTER_SECONDS", 0)
    monkeypatch.setattr(looks, "SECONDS_BETWEEN_LOOKS", 0)
    monkeypatch.setattr(InputTrigger, "SECONDS_BETWEEN_ROUNDS", 0.1)
    monkeypatch.setattr(LogTrigger, "SECONDS_BETWEEN_ROUNDS", 0.1)
    connection = {
        "conn_type": "aws",
        "login": "test",
        "password": "test",
        "extra": {"region_name": "us-east-1", "endpoint_url": idle_aws_url},
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW_VAR_TRAINYARD_ACCOUNT", '{"deployment": "laptop"}')


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


def trigger(cluster_id: ClusterId, *, seconds: float = 600) -> TrainingTrigger:
    return TrainingTrigger(
        training_id=TRAINING_ID,
        attempt=1,
        cluster_id=cluster_id,
        launched_at=datetime.now(timezone.utc).isoformat(),
        aws_conn_id="aws_default",
        region_name=None,
        app_db="app_db",
        give_up_at=(datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat(),
    )


async def first(events: AsyncIterator[TriggerEvent]) -> TriggerEvent:
    return await anext(aiter(events))


def watch(*triggers: BaseEventTrigger) -> list[TriggerEvent]:
    """What each trigger says first, all of them on Airflow's shared stream."""

    async def everyone() -> list[TriggerEvent]:
        manager = SharedStreamManager()

        async def one(trigger_id: int, member: BaseEventTrigger) -> TriggerEvent:
            key = member.shared_stream_key()
            stream = manager.subscribe(trigger_id=trigger_id, trigger=member, key=key)
            try:
                return await asyncio.wait_for(first(member.filter_shared_stream(stream)), timeout=120)
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


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> Mock:
    """A module's function, which tells of its calls from now on."""
    function = Mock(wraps=getattr(module, name))
    monkeypatch.setattr(module, name, function)
    return function


def pages_of_active(emr: Any) -> int:
    """How many calls list the clusters of all tests that are active."""
    return len(list(emr.get_paginator("list_clusters").paginate(ClusterStates=list(ACTIVE_STATES))))


def test_twenty_waits_cost_as_many_lists_as_one(emr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = called(monkeypatch)
    many = [run_cluster(emr, f"many-{number}") for number in range(20)]
    streams, rounds, pauses = (counted(monkeypatch, poll, name) for name in ("sightings", "_round", "_pause"))
    watch(*(trigger(cluster_id, seconds=1) for cluster_id in many))
    assert streams.call_count == 1
    assert set(calls) == {"ListClusters"}
    # one call every 0.05 s, and each page once a round, however many wait
    assert len(calls) <= pauses.call_count <= rounds.call_count * pages_of_active(emr)
    assert pauses.mock_calls == [call(0.05)] * pauses.call_count


def test_the_more_wait_the_more_of_their_ends_are_told_at_once_while_more_come(
    emr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow parses the whole DAG file for the ends that it is told of at once, while launching needs the machine."""
    group = poll.Group()
    naps: list[float] = []
    more_come = True

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        if more_come and len(naps) % 2:
            # at the place in memory of one that has ended, as it happens
            group.awaited[-1] = poll.Awaited(ClusterId(f"j-{len(naps)}"), datetime.now(timezone.utc))
        elif more_come:
            group.asking[1] = poll.Asking(TrainingId(f"{len(naps)}"), 1, "app_db")

    monkeypatch.setattr(poll, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": nap}))
    monkeypatch.setattr(poll, "time", SimpleNamespace(monotonic=lambda: sum(naps)))

    def rest(members: int) -> float:
        """How long the rest of a round is."""
        naps.clear()
        now = datetime.now(timezone.utc)
        group.asking = {}
        group.awaited = {-n: poll.Awaited(ClusterId(f"j-at-first-{n}"), now) for n in range(1, members + 1)}
        before = group.members() - {"j-at-first-1"} if more_come else group.members()
        ends_at = poll._round_seconds(group, 2)
        asyncio.run(poll._rest(group, members=before, ends_at=ends_at, seconds=2))
        return sum(naps)

    assert (rest(3), rest(8), rest(20), rest(200)) == (0, 4, 10, 10)
    more_come = False
    assert (rest(3), rest(8), rest(20), rest(200)) == (0, 0, 0, 0)


def test_each_round_of_the_poll_has_a_rest_by_who_has_begun_to_wait_in_it(
    emr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[set[Hashable]] = []
    rounds = counted(monkeypatch, poll, "_round")
    live = poll.Awaited(run_cluster(emr, "live"), datetime.now(timezone.utc))
    pages = pages_of_active(emr)
    monkeypatch.setattr(poll, "groups", defaultdict(poll.Group))
    group = poll.groups[poll.stream_key("aws_default", None)]

    async def rest(resting: poll.Group, *, members: set[Hashable], ends_at: float, seconds: float) -> None:
        assert (resting, seconds) == (group, 0.05)
        begun.append(group.members() - members)

    monkeypatch.setattr(poll, "_rest", rest)

    async def three_rounds() -> None:
        stream = poll.sightings("aws_default", None)
        # the next round's first page comes after the rest of this one
        for page in range(3 * pages + 1):
            await anext(stream)
            if page == pages:
                # in the second round
                group.awaited[1] = live
        await stream.aclose()

    asyncio.run(three_rounds())
    assert len(begun) == rounds.call_count - 1
    assert [len(each) for each in begun[:3]] == [0, 1, 0]


def test_success_ends_the_task_in_the_triggerer(monkeypatch: pytest.MonkeyPatch, emr: Any) -> None:
    ended: list[Any] = []
    monkeypatch.setenv("AIRFLOW_CONN_APP_DB", "postgresql://nobody:none@127.0.0.1:1/none")
    monkeypatch.setattr(ledger, "end", lambda _app, **words: ended.append(words))
    status = poll.ClusterStatus(ClusterId("j-1"), "TERMINATING", "ALL_STEPS_COMPLETED", "Steps completed")

    async def stream() -> AsyncIterator[poll.Sighting]:
        yield poll.Sighting({ClusterId("j-1"): status})

    event = asyncio.run(first(trigger(ClusterId("j-1")).filter_shared_stream(stream())))
    assert isinstance(event, TaskSuccessEvent)
    assert ended == [{"training_id": TRAINING_ID, "attempt": 1, "outcome": "succeeded"}]


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


def test_who_waits_for_a_slot_gets_it_by_the_poll_that_all_share(
    emr: Any, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_APP_DB", database_url)
    live = run_cluster(emr, "in the way")
    app = databases.engine(database_url)
    databases.upgrade_app_db(app)
    caps = {"deployment": "laptop", "max_live_clusters": 10_000, "max_vcpus": 10}
    monkeypatch.setenv("AIRFLOW_VAR_TRAINYARD_ACCOUNT", json.dumps(caps))
    waiting = [queued(app, f"model_{number}", vcpus=8) for number in range(2)]
    calls = called(monkeypatch)

    def end_the_first(attempt: ledger.Attempt) -> None:
        ledger.end(app, training_id=attempt.training_id, attempt=1, outcome="succeeded")

    async def both() -> None:
        events = [asyncio.create_task(asyncio.to_thread(watch, member)) for member in waiting[:1]]
        await events[0]
        assert ledger.attempts(app, waiting[1].training_id)[0].state == "queued"
        end_the_first(ledger.attempts(app, waiting[0].training_id)[0])
        await asyncio.to_thread(watch, waiting[1], trigger(live, seconds=1))

    asyncio.run(both())
    assert [ledger.attempts(app, item.training_id)[0].state for item in waiting] == ["ended", "intended"]
    with app.connect() as connection:
        account = connection.execute(text("SELECT account FROM operations.listing")).scalar_one()
    # as local_aws's ARNs have it
    assert account.endswith("/us-east-1")
    assert set(calls) == {"ListClusters"}


def test_time_limits_run_while_the_ledger_hangs(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_APP_DB", database_url)
    monkeypatch.setattr(poll, "_ADMISSION_SECONDS", 0.1)
    caps = {"deployment": "laptop", "max_live_clusters": 10_000}
    monkeypatch.setenv("AIRFLOW_VAR_TRAINYARD_ACCOUNT", json.dumps(caps))
    app = databases.engine(database_url)
    databases.upgrade_app_db(app)
    waiting = queued(app, "hotels", vcpus=8)
    overdue = trigger(ClusterId("j-OVERDUE12345"), seconds=1)
    held = app.connect()
    held.execute(text("LOCK TABLE operations.listing"))
    own = overdue.filter_shared_stream

    async def then_let_go(stream: AsyncIterator[poll.Sighting]) -> AsyncIterator[TriggerEvent]:
        async for event in own(stream):
            held.rollback()
            yield event

    monkeypatch.setattr(overdue, "filter_shared_stream", then_let_go)
    ended, admitted = watch(overdue, waiting)
    assert (ended.payload, admitted.payload) == (RESUMED, {"admitted": True})
    held.close()


def queued(app: Engine, model: str, *, vcpus: int) -> AdmissionTrigger:
    training = Training(
        deployment="laptop",
        portfolio="shop",
        model=model,
        data_date=date(2026, 11, 22),
        dag_id="shop",
        run_id="manual__1",
        output_root="s3://bucket/models",
    )
    reservation = ledger.Reservation(vcpus=vcpus, queued=True)
    attempt = ledger.allocate(app, training=training, aws_conn_id="aws_default", reservation=reservation)
    return AdmissionTrigger(
        training_id=attempt.training_id,
        attempt=attempt.attempt,
        aws_conn_id="aws_default",
        region_name=None,
        app_db="app_db",
    )


@pytest.mark.parametrize("many", [2, 8])
def test_many_that_have_ended_are_found_by_the_page_and_not_one_by_one(
    emr: Any, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    ended = [run_cluster(emr, f"ended-{number}") for number in range(many)]
    emr.terminate_job_flows(JobFlowIds=ended)
    until_gone(emr, set(ended))
    calls = called(monkeypatch)
    events = watch(*(trigger(cluster_id) for cluster_id in ended))
    assert [event.payload for event in events] == [RESUMED] * many
    assert "DescribeCluster" not in calls


def test_a_few_that_a_page_leaves_are_not_looked_for_on_further_ones(
    emr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = [run_cluster(emr, f"ended-{number}") for number in range(52)]
    for at in range(0, len(ended), 10):
        emr.terminate_job_flows(JobFlowIds=ended[at : at + 10])
    until_gone(emr, set(ended))
    calls = called(monkeypatch)
    events = watch(*(trigger(cluster_id) for cluster_id in ended[:2]))
    assert [event.payload for event in events] == [RESUMED] * 2
    assert calls[-3:] == ["ListClusters", "DescribeCluster", "DescribeCluster"]
    assert calls.count("ListClusters") == pages_of_active(emr) + 1
    calls.clear()
    events = watch(*(trigger(cluster_id) for cluster_id in ended))
    assert [event.payload for event in events] == [RESUMED] * 52
    assert calls.count("DescribeCluster") <= poll._FEW


def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the poll's calls from now on."""
    calls: list[str] = []
    client = connections.watching_emr_client("aws_default")
    client.meta.events.register("before-call.emr", lambda model, **_: calls.append(model.name))
    monkeypatch.setattr(connections, "watching_emr_client", lambda _conn_id: client)
    return calls


def until_gone(emr: Any, cluster_ids: set[ClusterId]) -> None:
    give_up_at = time.monotonic() + 120
    while cluster_ids & {status.cluster_id for status in active_clusters(emr)}:
        assert time.monotonic() < give_up_at, "the clusters were not terminated"
        time.sleep(0.05)


def test_late_input_is_looked_for_once_for_all_that_wait_for_it(
    idle_aws_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = connections.s3_client("aws_default")
    bucket = f"late-{uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    looked: list[str] = []
    monkeypatch.setattr(connections, "watching_s3_client", lambda _conn_id: s3)
    there = input_watch.is_there

    def look(client: Any, uri: str, *, marker: str | None) -> bool:
        looked.append(uri)
        if len(looked) == 4:
            client.put_object(Bucket=bucket, Key="train/_SUCCESS")
        return there(client, uri, marker=marker)

    monkeypatch.setattr(input_watch, "is_there", look)
    streams, rounds = (counted(monkeypatch, looks, name) for name in ("_rounds", "_round"))
    soon = (datetime.now(timezone.utc) + timedelta(seconds=600)).isoformat()
    past = (datetime.now(timezone.utc) - timedelta(seconds=1)).isoformat()

    def waits(folder: str, give_up_at: str) -> InputTrigger:
        places: list[list[str | None]] = [[f"s3://{bucket}/{folder}/", "_SUCCESS"]]
        return InputTrigger(places=places, aws_conn_id="aws_default", give_up_at=give_up_at)

    events = watch(waits("train", soon), waits("train", soon), waits("never", past))
    assert [event.payload["there"] for event in events] == [True, True, False]
    assert streams.call_count == 1
    # a look per folder and round, however many wait for it
    assert max(Counter(looked).values()) <= rounds.call_count


def test_one_bucket_that_cannot_be_looked_into_hides_nobody_else_s_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3 = connections.s3_client("aws_default")
    bucket = f"z-{uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="train/_SUCCESS")

    def waits(*places: str, seconds: float) -> InputTrigger:
        give_up_at = (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat()
        marked: list[list[str | None]] = [[f"s3://{place}/", "_SUCCESS"] for place in places]
        return InputTrigger(places=marked, aws_conn_id="aws_default", give_up_at=give_up_at)

    gone = f"a-{uuid4().hex[:8]}"
    good, broken = watch(
        waits(f"{bucket}/train", seconds=600), waits(f"{gone}/test", f"{bucket}/train", seconds=0)
    )
    assert good.payload == {"there": True}
    assert broken.payload["there"] is False
    (words,) = broken.payload["refused"]
    assert words.startswith(f"s3://{gone}/test/: ")
    assert "NoSuchBucket" in words


def test_many_that_fail_at_once_look_for_their_logs_with_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = connections.s3_client("aws_default")
    bucket = f"logs-{uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    clients: list[str] = []
    monkeypatch.setattr(connections, "watching_s3_client", lambda conn_id: clients.append(conn_id) or s3)
    looks_at_once, most = 0, 0

    def look(client: Any, *, log_uri: str, cluster_id: str) -> Logs:
        nonlocal looks_at_once, most
        looks_at_once += 1
        most = max(most, looks_at_once)
        logs = find_logs(client, log_uri=log_uri, cluster_id=cluster_id)
        client.put_object(Bucket=bucket, Key=f"{cluster_id}/steps/s-1/stderr", Body=b"Traceback")
        looks_at_once -= 1
        return logs

    monkeypatch.setattr(log_watch, "find_logs", look)
    give_up_at = (datetime.now(timezone.utc) + timedelta(seconds=600)).isoformat()

    def waits(number: int) -> LogTrigger:
        return LogTrigger(
            payload={"attempt": number},
            log_uri=f"s3://{bucket}/",
            cluster_id=f"j-{number}",
            aws_conn_id="aws_default",
            give_up_at=give_up_at,
        )

    events = watch(*(waits(number) for number in range(30)))
    assert [event.payload["attempt"] for event in events] == list(range(30))
    assert (clients, most) == (["aws_default"], 1)


def test_a_missing_aws_connection_is_an_error_and_not_boto3_s_own_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT")
    with pytest.raises(Exception, match="aws_default"):
        connections.watching_emr_client("aws_default")
