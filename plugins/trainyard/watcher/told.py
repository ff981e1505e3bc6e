"""What the ledger is told of waits, of many at once by one connection: that they have begun, and that they ended well.

A ledger that hangs keeps neither an end nor a time limit of others from being seen.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable

from sqlalchemy import Engine

from trainyard import connections, ledger
from trainyard.watcher.base import AttemptTrigger
from trainyard.watcher.states import RunKey, task_key, task_states
from trainyard.watcher.together import Together

_TELL_AGAIN_SECONDS = 30
# hundreds begin within a minute, one after the other: each by itself would cost Airflow a request and us a connection
_GATHER_SECONDS = 2

log = logging.getLogger(__name__)


def begun(wait: AttemptTrigger) -> None:
    """Tell that a wait has begun in the triggerer; returns at once.

    It is told again until the ledger has it, by which a later try knows that there was an earlier one.
    """
    _begun.add(wait)


async def succeeded(wait: AttemptTrigger) -> None:
    """Tell that what was waited for has ended well; told even where this is cancelled.

    Told once: publish ends what it finds with a manifest, so that the ledger's word is late then, and not lost.
    """
    await asyncio.shield(asyncio.wrap_future(_succeeded.add(wait)))


def _tell_begun(waits: list[AttemptTrigger]) -> None:
    try:
        _tell(_waiting(waits), _record_wait)
    except Exception:
        log.warning("that %d tasks wait will be told again", len(waits), exc_info=True)
        _begun.add_later(*waits, seconds=_TELL_AGAIN_SECONDS)


def _tell_succeeded(waits: list[AttemptTrigger]) -> None:
    try:
        _tell(waits, _end_well)
    except Exception:
        log.warning("publish will record that %d trainings ended well", len(waits), exc_info=True)


def _record_wait(app: Engine, wait: AttemptTrigger) -> None:
    ledger.record_wait(app, training_id=wait.training_id, attempt=wait.attempt)


def _end_well(app: Engine, wait: AttemptTrigger) -> None:
    ledger.end(app, training_id=wait.training_id, attempt=wait.attempt, outcome="succeeded")


_begun = Together("begun", _tell_begun, gather_seconds=_GATHER_SECONDS)
_succeeded = Together("succeeded", _tell_succeeded)


def _waiting(waits: list[AttemptTrigger]) -> list[AttemptTrigger]:
    """Those whose task really waits: the trigger of one that was cleared lives on until the task is scheduled again."""
    by_run: defaultdict[RunKey, list[AttemptTrigger]] = defaultdict(list)
    for wait in waits:
        by_run[task_key(wait.task_instance)[:2]].append(wait)
    waiting = []
    for run, group in by_run.items():
        states = task_states(run, {task_key(wait.task_instance)[2] for wait in group})
        waiting += [wait for wait in group if states.get(task_key(wait.task_instance)[2]) == "deferred"]
    return waiting


def _tell(waits: list[AttemptTrigger], record: Callable[[Engine, AttemptTrigger], None]) -> None:
    """Record each in its ledger."""
    by_database: defaultdict[str, list[AttemptTrigger]] = defaultdict(list)
    for wait in waits:
        by_database[wait.app_db].append(wait)
    for app_db, group in by_database.items():
        app = connections.watching_database(app_db)
        try:
            for wait in group:
                try:
                    record(app, wait)
                except ledger.LedgerError as error:
                    # it has ended meanwhile, or is not there: the others' word must not be lost by it
                    log.info("%s", error)
        finally:
            app.dispose()
