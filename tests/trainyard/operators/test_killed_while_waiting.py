"""What becomes of a cluster whose task no longer waits."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from trainyard import connections
from trainyard.ledger import ClusterId
from trainyard.watcher import TrainingTrigger, base, poll

if TYPE_CHECKING:
    from conftest import Shop


def kill(shop: Shop, trigger: TrainingTrigger, state: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The triggerer ends the trigger, and Airflow says how the task stands."""
    states = {shop.run_id: {"hotels.wait_for_training": state}}
    monkeypatch.setattr(base.RuntimeTaskInstance, "get_task_states", lambda **_: states)
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


def test_a_triggerer_that_stalled_ends_no_cluster_of_a_task_that_still_waits(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger = shop.wait()
    kill(shop, trigger, "deferred", monkeypatch)
    assert shop.is_live(trigger.cluster_id)
    assert shop.attempts()[0].state == "launched"


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
