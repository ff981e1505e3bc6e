"""What the ledger is told of many waits at about the same time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock, call

import pytest

from trainyard import connections, ledger
from trainyard.watcher import TrainingTrigger, together, told
from trainyard.watcher import states as task_states
from trainyard.watcher.together import Together

if TYPE_CHECKING:
    from conftest import Shop


def outcomes(shop: Shop, triggers: list[TrainingTrigger]) -> list[str | None]:
    attempts = ledger.attempts_by_training(shop.app, [trigger.training_id for trigger in triggers])
    return [attempts[trigger.training_id][0].outcome for trigger in triggers]


@contextmanager
def busy(together: Together[Any]) -> Iterator[None]:
    """It is at work meanwhile, so that what comes is done together after it."""
    is_over = threading.Event()
    together._thread.submit(is_over.wait)
    try:
        yield
    finally:
        is_over.set()


def test_that_many_have_ended_well_the_ledger_is_told_together(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    triggers = shop.wait_for_many(20)
    connect = Mock(wraps=connections.watching_database)
    monkeypatch.setattr(connections, "watching_database", connect)

    async def all_of_them() -> None:
        with busy(told._succeeded("app_db")):
            ends = [asyncio.create_task(told.succeeded(trigger)) for trigger in triggers]
            await asyncio.sleep(0)
        await asyncio.gather(*ends)

    asyncio.run(all_of_them())
    assert connect.mock_calls == [call("app_db")]
    assert outcomes(shop, triggers) == ["succeeded"] * 20


def test_a_trigger_that_is_cancelled_has_told_that_its_training_ended_well(shop: Shop) -> None:
    (trigger,) = shop.wait_for_many(1)

    async def cancel() -> None:
        with busy(told._succeeded("app_db")):
            end = asyncio.create_task(told.succeeded(trigger))
            await asyncio.sleep(0)
            end.cancel()
            await asyncio.wait([end])

    asyncio.run(cancel())
    told._succeeded("app_db").add().result(timeout=120)
    assert outcomes(shop, [trigger]) == ["succeeded"]


def test_a_ledger_that_is_away_delays_no_other_s_word(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_APP_DB_OF_OTHERS", "postgresql://nobody:none@127.0.0.1:1/none")
    mine, other = shop.wait_for_many(2)
    other.app_db = "app_db_of_others"

    async def both() -> None:
        with busy(told._succeeded("app_db_of_others")):
            end = asyncio.create_task(told.succeeded(other))
            await asyncio.wait_for(told.succeeded(mine), timeout=120)
        await end

    asyncio.run(both())
    assert outcomes(shop, [mine, other]) == ["succeeded", None]


def test_that_many_wait_airflow_is_asked_and_the_ledger_told_together(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has ended meanwhile keeps no other's word from it."""
    triggers = shop.wait_for_many(20)
    states = {shop.run_id: {f"model_{n}.wait_for_training": "deferred" for n in range(20)}}
    ask = Mock(return_value=states)
    monkeypatch.setattr(task_states.RuntimeTaskInstance, "get_task_states", ask)
    ledger.end(shop.app, training_id=triggers[5].training_id, attempt=1, outcome="abandoned")
    connect = Mock(wraps=connections.watching_database)
    monkeypatch.setattr(connections, "watching_database", connect)
    # what begins while others are gathered is told with them, however long that takes
    all_have_begun = threading.Event()
    gather = Mock(side_effect=lambda _seconds: all_have_begun.wait(timeout=120))
    monkeypatch.setattr(together, "time", SimpleNamespace(sleep=gather))
    for trigger in triggers:
        told.begun(trigger)
    all_have_begun.set()
    told._begun("app_db").add().result(timeout=120)
    assert gather.mock_calls == [call(told._GATHER_SECONDS)]
    assert (ask.call_count, connect.mock_calls) == (1, [call("app_db")])
    attempts = ledger.attempts_by_training(shop.app, [trigger.training_id for trigger in triggers])
    awaited = [attempts[trigger.training_id][0].awaited_at is not None for trigger in triggers]
    assert awaited == [n != 5 for n in range(20)]
