"""What becomes of a cluster whose task no longer waits."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from local_aws.client import LocalAws
from local_aws.faults.kinds import Throttle
from trainyard import connections, ledger
from trainyard.ledger import ClusterId
from trainyard.watcher import AdmissionTrigger, TrainingTrigger, killed, poll
from trainyard.watcher import states as task_states
from trainyard.watcher.base import EmrPollTrigger

if TYPE_CHECKING:
    from conftest import Shop


def kill(shop: Shop, trigger: EmrPollTrigger, state: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The triggerer ends the trigger, and Airflow says how the task stands."""
    states = {shop.run_id: {"hotels.wait_for_training": state}}
    monkeypatch.setattr(task_states.RuntimeTaskInstance, "get_task_states", lambda **_: states)
    trigger._task_instance = shop.context()["ti"]
    asyncio.run(trigger.on_kill())


@pytest.mark.parametrize("state", ["failed", "success", None, "queued"])
def test_a_task_ended_by_a_person_ends_its_cluster(
    shop: Shop, state: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger = shop.wait()
    kill(shop, trigger, state, monkeypatch)
    assert not shop.is_live(trigger.cluster_id)
    assert shop.attempts()[0].failure_code == "task_ended"


def kill_and_ask_again(
    shop: Shop, trigger: EmrPollTrigger, states: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The triggerer ends the trigger; ``states`` are what Airflow says of the task, in turn."""
    asked = threading.Semaphore(0)
    answers = iter(states)

    def get_task_states(**_: Any) -> dict[str, dict[str, str]]:
        asked.release()
        return {shop.run_id: {"hotels.wait_for_training": next(answers)}}

    monkeypatch.setattr(killed, "_ASK_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(task_states.RuntimeTaskInstance, "get_task_states", get_task_states)
    trigger._task_instance = shop.context()["ti"]
    asyncio.run(trigger.on_kill())
    for _ in states:
        assert asked.acquire(timeout=120)
    # what follows from the last answer is done by the same thread
    killed._killed.add().result(timeout=120)


def test_a_triggerer_that_stalled_ends_no_cluster_of_a_task_that_still_waits(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger = shop.wait()
    kill_and_ask_again(shop, trigger, ["deferred", "deferred"], monkeypatch)
    assert shop.is_live(trigger.cluster_id)
    assert shop.attempts()[0].state == "launched"


def test_a_task_that_goes_on_on_a_worker_is_that_worker_s(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a triggerer that stalled asks late must not be before the word of who judges the attempt."""
    trigger = shop.wait()
    kill_and_ask_again(shop, trigger, ["deferred", "running"], monkeypatch)
    assert shop.attempts()[0].state == "launched"


@pytest.mark.parametrize(("then", "lives"), [("deferred", True), ("failed", False)])
def test_the_next_try_of_a_task_that_was_cleared_at_once_keeps_the_cluster_it_took_over(
    shop: Shop, then: str, lives: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow tells of the clearing late; and of a wait that was cleared before the ledger had it, nobody knew."""
    trigger = shop.wait()
    kill_and_ask_again(shop, trigger, ["running", then], monkeypatch)
    assert shop.is_live(trigger.cluster_id) is lives


def test_a_task_that_was_cleared_and_deferred_again_at_once_does_not_keep_its_old_cluster(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wait that begins in the triggerer is deferred before a worker has a place for it."""
    trigger = shop.wait()
    kill_and_ask_again(shop, trigger, ["deferred", "queued"], monkeypatch)
    assert not shop.is_live(trigger.cluster_id)
    assert shop.attempts()[0].failure_code == "task_ended"


def kill_as_a_triggerer_does(triggers: list[TrainingTrigger]) -> None:
    """It cancels a trigger again a second after, while ``on_kill`` runs: here before any has got anywhere."""
    told = threading.Event()
    killed._killed._thread.submit(told.wait)

    async def run(trigger: TrainingTrigger) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.wait_for(trigger.on_kill(), timeout=120)

    async def kill() -> None:
        tasks = [asyncio.create_task(run(trigger)) for trigger in triggers]
        for _ in range(3):
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel("user-action")
        await asyncio.gather(*tasks, return_exceptions=True)

    try:
        asyncio.run(kill())
    finally:
        told.set()
    killed._killed.add().result(timeout=240)


def test_of_many_killed_at_once_no_cluster_stays_though_the_killing_is_cancelled_and_throttled(
    shop: Shop, idle_aws_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    triggers = shop.wait_for_many(50)
    states = {"model_49.wait_for_training": "deferred"}
    asked: list[list[str]] = []

    def get_task_states(*, task_ids: list[str], **_: Any) -> dict[str, dict[str, str]]:
        asked.append(task_ids)
        return {shop.run_id: states}

    monkeypatch.setattr(task_states.RuntimeTaskInstance, "get_task_states", get_task_states)
    aws = LocalAws(idle_aws_url)
    before = len(aws.calls(operation="TerminateJobFlows"))
    with aws.faults(Throttle(calls=("TerminateJobFlows",), times=3)):
        kill_as_a_triggerer_does(triggers)
    assert [shop.is_live(trigger.cluster_id) for trigger in triggers] == [False] * 49 + [True]
    ends = [ledger.attempts(shop.app, trigger.training_id)[0].failure_code for trigger in triggers]
    assert ends == ["task_ended"] * 49 + [None]
    # ten clusters a call, and fifty tasks a question
    assert len(aws.calls(operation="TerminateJobFlows")) - before == 3 + 5
    assert len(asked) == 1


def test_a_cluster_that_emr_does_not_know_keeps_no_other_alive(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    triggers = shop.wait_for_many(3)
    triggers[1].cluster_id = ClusterId("j-0000000000000")
    monkeypatch.setattr(task_states.RuntimeTaskInstance, "get_task_states", lambda **_: {})
    kill_as_a_triggerer_does(triggers)
    assert [shop.is_live(triggers[n].cluster_id) for n in (0, 2)] == [False, False]
    states = [ledger.attempts(shop.app, trigger.training_id)[0].state for trigger in triggers]
    assert states == ["ended", "launched", "ended"]


def test_a_task_that_has_launched_without_its_old_trigger_keeps_its_cluster(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a clear of what is queued, or with two triggerers: ``create_cluster`` is over by then."""
    shop.run_cluster("in the way")
    monkeypatch.setenv("AIRFLOW_VAR_TRAINYARD_ACCOUNT", '{"deployment": "laptop", "max_live_clusters": 1}')
    with pytest.raises(TaskDeferred) as deferred:
        shop.create()
    queued = deferred.value.trigger
    assert isinstance(queued, AdmissionTrigger)
    monkeypatch.setenv("AIRFLOW_VAR_TRAINYARD_ACCOUNT", '{"deployment": "laptop"}')
    cluster_id = shop.create()
    kill(shop, queued, "success", monkeypatch)
    assert shop.wait().cluster_id == cluster_id
    assert [attempt.state for attempt in shop.attempts()] == ["launched"]


def test_a_watching_client_that_is_known_is_used_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    trigger = shop.wait()
    monkeypatch.setitem(poll.clients, "aws_default", shop.emr)

    def no_client(_conn_id: str) -> None:
        raise AssertionError("a client was made")

    monkeypatch.setattr(connections, "watching_emr_client", no_client)
    kill(shop, trigger, "failed", monkeypatch)
    assert not shop.is_live(ClusterId(trigger.cluster_id))


def test_a_trigger_comes_back_from_its_serialized_form(shop: Shop) -> None:
    trigger = shop.wait()
    path, arguments = trigger.serialize()
    assert path == "trainyard.watcher.TrainingTrigger"
    assert json.loads(json.dumps(arguments)) == arguments
    assert TrainingTrigger(**arguments).serialize() == trigger.serialize()
