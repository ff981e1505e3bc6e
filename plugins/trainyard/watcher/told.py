"""What the ledger is told of waits, of many at once by one connection: that they have begun, and that they ended well.

Each ledger has threads of its own: one that hangs delays no other's word, and no time limit of those that still wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from functools import cache, partial

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
    _begun(wait.app_db).add(wait)


async def succeeded(wait: AttemptTrigger) -> None:
    """Tell that what was waited for has ended well; told even where this is cancelled.

    Told once: publish ends what it finds with a manifest, so that the ledger's word is late then, and not lost.
    """
    await asyncio.shield(asyncio.wrap_future(_succeeded(wait.app_db).add(wait)))


@cache
def _begun(app_db: str) -> Together[AttemptTrigger]:
    return Together(f"begun-{app_db}", partial(_tell_begun, app_db), gather_seconds=_GATHER_SECONDS)


@cache
def _succeeded(app_db: str) -> Together[AttemptTrigger]:
    return Together(f"succeeded-{app_db}", partial(_tell_succeeded, app_db))


def _tell_begun(app_db: str, waits: list[AttemptTrigger]) -> None:
    by_run: defaultdict[RunKey, list[AttemptTrigger]] = defaultdict(list)
    for wait in waits:
        by_run[task_key(wait.task_instance)[:2]].append(wait)
    for run, group in by_run.items():
        try:
            _tell(app_db, _waiting(run, group), _record_wait)
        except Exception:
            log.warning("that %d tasks of %s wait will be told again", len(group), run[1], exc_info=True)
            _begun(app_db).add_later(*group, seconds=_TELL_AGAIN_SECONDS)


def _tell_succeeded(app_db: str, waits: list[AttemptTrigger]) -> None:
    try:
        _tell(app_db, waits, _end_well)
    except Exception:
        log.warning("publish will record that %d trainings ended well", len(waits), exc_info=True)


def _record_wait(app: Engine, wait: AttemptTrigger) -> None:
    ledger.record_wait(app, training_id=wait.training_id, attempt=wait.attempt)


def _end_well(app: Engine, wait: AttemptTrigger) -> None:
    ledger.end(app, training_id=wait.training_id, attempt=wait.attempt, outcome="succeeded")


def _waiting(run: RunKey, waits: list[AttemptTrigger]) -> list[AttemptTrigger]:
    """Those whose task really waits: the trigger of one that was cleared lives on until the task is scheduled again."""
    states = task_states(run, {task_key(wait.task_instance)[2] for wait in waits})
    return [wait for wait in waits if states.get(task_key(wait.task_instance)[2]) == "deferred"]


def _tell(app_db: str, waits: list[AttemptTrigger], record: Callable[[Engine, AttemptTrigger], None]) -> None:
    if not waits:
        return
    app = connections.watching_database(app_db)
    try:
        for wait in waits:
            try:
                record(app, wait)
            except ledger.LedgerError as error:
                # it has ended meanwhile, or is not there: the others' word must not be lost by it
                log.info("%s", error)
    finally:
        app.dispose()
