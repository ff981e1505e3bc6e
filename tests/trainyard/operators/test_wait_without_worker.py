"""A wait that begins in the triggerer: what Airflow hands to its trigger is Airflow's own, XComs are played."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from airflow.executors.workloads import TaskInstanceDTO
from airflow.jobs.triggerer_job_runner import TriggerRunner
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from airflow.serialization.serialized_objects import DagSerialization
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from trainyard import ledger
from trainyard.clusters import ClusterStatus
from trainyard.dag_factory import build_dag
from trainyard.ledger import ClusterId
from trainyard.operators import WaitForTraining
from trainyard.watcher import (
    ON_A_WORKER,
    LaunchedTrigger,
    TrainingTrigger,
    launched,
    together,
    told,
)
from trainyard.watcher import states as task_states
from trainyard.watcher.poll import Sighting

if TYPE_CHECKING:
    from conftest import Shop

WAIT = "hotels.wait_for_training"


class XComs:
    """What the tasks of a run have returned; ``away`` where Airflow's API does not answer."""

    XCOM_RETURN_KEY = "return_value"

    def __init__(self, handed: dict[str, Any]) -> None:
        self.of: dict[str, Any] = {"hotels.create_cluster": handed}
        self.away = False

    def get_one(self, *, key: str, dag_id: str, run_id: str, task_id: str) -> Any:
        if self.away:
            raise ConnectionError("no answer")
        return self.of.get(task_id) if key == self.XCOM_RETURN_KEY else None


@pytest.fixture
def xcoms(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> XComs:
    """Of a run whose cluster is launched and handed over."""
    monkeypatch.setattr(told._begun("app_db"), "gather_seconds", 0)
    played = XComs(shop.hand_over())
    monkeypatch.setattr(launched, "XCom", played)
    stand(shop, "deferred", monkeypatch)
    return played


def stand(shop: Shop, state: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Airflow says of the task that waits; nothing where it knows none."""
    states = {} if state is None else {shop.run_id: {WAIT: state}}
    monkeypatch.setattr(task_states.RuntimeTaskInstance, "get_task_states", lambda **_: states)


def begin(shop: Shop, *, try_number: int = 1) -> tuple[LaunchedTrigger, Context]:
    """The trigger as a triggerer makes it of the DAG in Airflow's database, and the context that comes with it."""
    dag_data = DagSerialization.to_dict(build_dag(shop.portfolio))
    arguments = DagSerialization.from_dict(dag_data).get_task(WAIT).start_trigger_args
    assert arguments is not None
    assert arguments.trigger_cls == "trainyard.watcher.LaunchedTrigger"
    trigger_kwargs: Any = arguments.trigger_kwargs
    trigger = LaunchedTrigger(**DagSerialization.deserialize(trigger_kwargs))
    task_instance = TaskInstanceDTO.model_construct(
        id=uuid4(), task_id=WAIT, dag_id="shop", run_id=shop.run_id, try_number=try_number, map_index=-1
    )
    now = shop.context()["dag_run"].start_date
    dag_run = {
        "dag_id": "shop",
        "run_id": shop.run_id,
        "run_after": now,
        "start_date": now,
        "run_type": "manual",
        "state": "running",
        "clear_number": 0,
        "consumed_asset_events": [],
    } | dict.fromkeys(
        ("logical_date", "data_interval_start", "data_interval_end", "end_date", "partition_key")
    )
    runtime = TriggerRunner.create_runtime_ti(task_instance, dag_data, dag_run)
    context = runtime.get_template_context()
    trigger.task_instance = runtime
    return trigger, context


def seen(cluster_id: str, state: str, reason: str) -> Sighting:
    status = ClusterStatus(ClusterId(cluster_id), state, reason, reason="")
    return Sighting({status.cluster_id: status})


def first_event(trigger: LaunchedTrigger, *sightings: Sighting, until_over: bool = True) -> Any:
    """What the trigger says first.

    :param until_over: else the triggerer is stopped before anything is seen
    """

    async def stream() -> AsyncIterator[Sighting]:
        # what is told of a wait that begins is told beside it
        told._begun("app_db").add().result(timeout=120)
        for sighting in sightings if until_over else ():
            yield sighting

    async def first() -> TriggerEvent | None:
        return await anext(aiter(trigger.filter_shared_stream(stream())), None)

    return asyncio.run(first())


def ended_well(shop: Shop) -> Sighting:
    return seen(str(shop.attempts()[0].cluster_id), "TERMINATED", "ALL_STEPS_COMPLETED")


@pytest.mark.usefixtures("xcoms")
def test_a_training_that_ends_well_ends_its_task_without_a_worker(shop: Shop) -> None:
    trigger, _ = begin(shop)
    assert isinstance(first_event(trigger, Sighting(), ended_well(shop)), TaskSuccessEvent)
    (attempt,) = shop.attempts()
    assert (attempt.outcome, attempt.awaited_at is not None) == ("succeeded", True)


@pytest.mark.usefixtures("xcoms")
def test_a_failure_is_judged_on_a_worker(shop: Shop) -> None:
    trigger, _ = begin(shop)
    (attempt,) = shop.attempts()
    shop.tell_failure(attempt, "malformed_input")
    shop.emr.terminate_job_flows(JobFlowIds=[attempt.cluster_id])
    event = first_event(trigger, seen(str(attempt.cluster_id), "TERMINATED_WITH_ERRORS", "STEP_FAILURE"))
    with pytest.raises(AirflowFailException, match="malformed_input: so it is"):
        go_on(shop, event.payload | {"log_waited": True})


def go_on(shop: Shop, payload: Any) -> None:
    """What a worker resumes."""
    task = build_dag(shop.portfolio).get_task(WAIT)
    assert isinstance(task, WaitForTraining)
    arguments = task.start_trigger_args
    assert arguments is not None
    getattr(task, arguments.next_method)(shop.context(), payload)


@pytest.mark.usefixtures("xcoms")
def test_a_further_try_is_a_worker_s_and_takes_a_fresh_cluster(shop: Shop) -> None:
    first, _ = begin(shop)
    first_event(first, seen(str(shop.attempts()[0].cluster_id), "TERMINATED_WITH_ERRORS", "INTERNAL_ERROR"))
    shop.tries = 2
    second, _ = begin(shop, try_number=2)
    event = first_event(second)
    assert event.payload == ON_A_WORKER
    with pytest.raises(TaskDeferred) as deferred:
        go_on(shop, event.payload)
    trigger = deferred.value.trigger
    assert isinstance(trigger, TrainingTrigger)
    assert trigger.attempt == 2
    assert [shop.is_live(attempt.cluster_id) for attempt in shop.attempts()] == [False, True]


@pytest.mark.parametrize("left", ["nothing", "no answer", "j-AN0LDERF0RM"])
def test_a_wait_that_does_not_know_what_was_launched_is_a_worker_s(
    shop: Shop, xcoms: XComs, left: str
) -> None:
    """As where ``create_cluster`` was marked success by hand, or found a training that has ended well."""
    xcoms.away = left == "no answer"
    xcoms.of = {"hotels.create_cluster": left} if left.startswith("j-") else {}
    trigger, _ = begin(shop)
    event = first_event(trigger)
    assert event.payload == ON_A_WORKER
    with pytest.raises(TaskDeferred) as deferred:
        go_on(shop, event.payload)
    assert deferred.value.trigger.serialize()[1]["cluster_id"] == shop.attempts()[0].cluster_id


def test_a_first_try_that_began_to_wait_and_lost_what_for_keeps_its_cluster(shop: Shop, xcoms: XComs) -> None:
    """As where the triggerer is restarted while an XCom backend is away: no other try has waited."""
    first_event(begin(shop)[0], ended_well(shop), until_over=False)
    assert shop.attempts()[0].awaited_at is not None
    xcoms.away = True
    shop.tries = 1
    event = first_event(begin(shop)[0])
    with pytest.raises(TaskDeferred):
        go_on(shop, event.payload)
    assert [shop.is_live(attempt.cluster_id) for attempt in shop.attempts()] == [True]


def test_a_cluster_on_another_poll_is_waited_for_from_a_worker(shop: Shop, xcoms: XComs) -> None:
    """A run's overrides may say another connection than the DAG in Airflow's database."""
    xcoms.of["hotels.create_cluster"]["wait"]["aws_conn_id"] = "aws_of_another"
    assert first_event(begin(shop)[0], ended_well(shop)).payload == ON_A_WORKER


def test_what_was_handed_over_in_another_form_is_a_worker_s(shop: Shop, xcoms: XComs) -> None:
    del xcoms.of["hotels.create_cluster"]["wait"]["give_up_at"]
    assert first_event(begin(shop)[0], ended_well(shop)).payload == ON_A_WORKER


@pytest.mark.usefixtures("xcoms")
def test_what_the_reaper_ended_before_anything_waited_for_it_is_trained_anew(shop: Shop) -> None:
    (attempt,) = shop.attempts()
    shop.emr.terminate_job_flows(JobFlowIds=[attempt.cluster_id])
    ledger.end(
        shop.app, training_id=attempt.training_id, attempt=1, outcome="abandoned", failure_code="reaped"
    )
    event = first_event(begin(shop)[0], seen(str(attempt.cluster_id), "TERMINATED", "USER_REQUEST"))
    with pytest.raises(TaskDeferred):
        go_on(shop, event.payload)
    assert [attempt.state for attempt in shop.attempts()] == ["ended", "launched"]


@pytest.mark.usefixtures("xcoms")
def test_that_a_task_waits_is_told_until_the_ledger_has_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later try would else take the cluster of an earlier one for its own."""
    told_later = threading.Event()

    def tell_at_once(seconds: float, tell: Callable[..., Any], waits: Any) -> SimpleNamespace:
        assert seconds == told._TELL_AGAIN_SECONDS
        monkeypatch.setenv("AIRFLOW_CONN_APP_DB", there)
        tell(*waits)
        return SimpleNamespace(start=told_later.set)

    there = os.environ["AIRFLOW_CONN_APP_DB"]
    monkeypatch.setenv("AIRFLOW_CONN_APP_DB", "postgresql://nobody:none@127.0.0.1:1/none")
    monkeypatch.setattr(together, "Timer", tell_at_once)
    first_event(begin(shop)[0], ended_well(shop), until_over=False)
    assert told_later.is_set()
    told._begun("app_db").add().result(timeout=120)
    assert shop.attempts()[0].awaited_at is not None


@pytest.mark.usefixtures("xcoms")
def test_the_trigger_of_a_task_that_was_cleared_tells_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lives on until the task is scheduled again, and what it finds may be that one's."""
    stand(shop, "scheduled", monkeypatch)
    first_event(begin(shop)[0], ended_well(shop), until_over=False)
    assert shop.attempts()[0].awaited_at is None


@pytest.mark.usefixtures("xcoms")
def test_a_ledger_that_is_away_keeps_no_training_from_ending_well(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger, _ = begin(shop)
    ended = ended_well(shop)
    monkeypatch.setenv("AIRFLOW_CONN_APP_DB", "postgresql://nobody:none@127.0.0.1:1/none")
    assert isinstance(first_event(trigger, ended), TaskSuccessEvent)
    assert shop.attempts()[0].state == "launched"


@pytest.mark.usefixtures("xcoms")
def test_a_training_that_has_ended_well_when_it_is_handed_over_again_is_not_waited_for(shop: Shop) -> None:
    """As where a person clears both tasks of a model."""
    first_event(begin(shop)[0], ended_well(shop))
    shop.put_manifest(shop.attempts()[0])
    assert "wait" not in shop.hand_over()


@pytest.mark.usefixtures("xcoms")
def test_a_trigger_that_waits_keeps_nothing_of_the_dag(shop: Shop) -> None:
    trigger, context = begin(shop)
    task: Any = trigger.task
    dag = weakref.ref(task.dag)
    del task
    # Airflow keeps the context for as long as the trigger runs
    trigger.render_template_fields(context=context)
    gc.collect()
    assert dag() is None
    assert isinstance(first_event(trigger, ended_well(shop)), TaskSuccessEvent)


@pytest.mark.usefixtures("xcoms")
@pytest.mark.parametrize("try_number", [1, 2])
def test_a_wait_that_is_killed_ends_the_cluster_that_was_handed_over(
    shop: Shop, try_number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any moment, and by a triggerer that cancels again what it has asked for."""
    trigger, _ = begin(shop, try_number=try_number)
    stand(shop, "failed", monkeypatch)

    async def kill() -> None:
        killing = asyncio.create_task(trigger.on_kill())
        await asyncio.sleep(0)
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)
        await asyncio.gather(*launched._ending)

    asyncio.run(kill())
    assert not shop.is_live(shop.attempts()[0].cluster_id)
    assert shop.attempts()[0].failure_code == "task_ended"


def test_a_wait_whose_run_is_deleted_ends_its_cluster(
    shop: Shop, xcoms: XComs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The XCom goes with the run, and Airflow knows no such task."""
    trigger, _ = begin(shop)
    stand(shop, None, monkeypatch)

    async def kill() -> None:
        async def endless() -> AsyncIterator[Sighting]:
            while True:
                yield Sighting()
                await asyncio.sleep(0.01)

        async def wait() -> None:
            async for _ in trigger.filter_shared_stream(endless()):
                raise AssertionError("it is not over")

        waiting = asyncio.create_task(wait())
        while trigger._known is None:
            await asyncio.sleep(0.01)
        xcoms.of.clear()
        waiting.cancel()
        await trigger.on_kill()

    asyncio.run(kill())
    assert not shop.is_live(shop.attempts()[0].cluster_id)


def test_a_wait_that_is_killed_before_anything_was_launched_ends_nothing(shop: Shop, xcoms: XComs) -> None:
    xcoms.of.clear()
    asyncio.run(begin(shop)[0].on_kill())
    assert shop.is_live(shop.attempts()[0].cluster_id)


def test_the_trigger_comes_back_from_its_serialized_form(shop: Shop) -> None:
    trigger, _ = begin(shop)
    path, arguments = trigger.serialize()
    assert (path, LaunchedTrigger(**arguments).serialize()) == (
        "trainyard.watcher.LaunchedTrigger",
        (path, arguments),
    )
