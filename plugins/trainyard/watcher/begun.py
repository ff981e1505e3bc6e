"""That a wait has begun in the triggerer, as the ledger is told.

One queue and one thread, however many begin at once, and nobody waits for it: a ledger that hangs keeps nobody's end
from being seen. It is told again until the ledger has it, by which a later try knows that there was an earlier one.
"""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from threading import Timer

from trainyard import connections, ledger
from trainyard.watcher.states import RunKey, task_key, task_states
from trainyard.watcher.training import TrainingTrigger

_TELL_AGAIN_SECONDS = 30

log = logging.getLogger(__name__)

_queue: deque[TrainingTrigger] = deque()
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trainyard-begun")


def tell(wait: TrainingTrigger) -> None:
    """Returns at once."""
    _queue.append(wait)
    _thread.submit(_tell_all)


def _tell_all() -> None:
    """All that have come by now; who comes meanwhile is the next call's."""
    waits = [_queue.popleft() for _ in range(len(_queue))]
    by_database: defaultdict[str, list[TrainingTrigger]] = defaultdict(list)
    try:
        for wait in _waiting(waits):
            by_database[wait.app_db].append(wait)
        for app_db, group in by_database.items():
            _record(app_db, group)
    except Exception:
        log.warning("that %d tasks wait will be told again", len(waits), exc_info=True)
        _tell_later(waits)


def _tell_later(waits: list[TrainingTrigger]) -> None:
    def tell_again() -> None:
        _queue.extend(waits)
        _thread.submit(_tell_all)

    timer = Timer(_TELL_AGAIN_SECONDS, tell_again)
    timer.daemon = True
    timer.start()


def _waiting(waits: list[TrainingTrigger]) -> list[TrainingTrigger]:
    """Those whose task really waits: the trigger of one that was cleared lives on until the task is scheduled again."""
    by_run: defaultdict[RunKey, list[TrainingTrigger]] = defaultdict(list)
    for wait in waits:
        by_run[task_key(wait.task_instance)[:2]].append(wait)
    waiting = []
    for run, group in by_run.items():
        states = task_states(run, {task_key(wait.task_instance)[2] for wait in group})
        waiting += [wait for wait in group if states.get(task_key(wait.task_instance)[2]) == "deferred"]
    return waiting


def _record(app_db: str, waits: list[TrainingTrigger]) -> None:
    app = connections.watching_database(app_db)
    try:
        for wait in waits:
            try:
                ledger.record_wait(app, training_id=wait.training_id, attempt=wait.attempt)
            except ledger.LedgerError as error:
                # it has ended meanwhile: nobody waits for it any more
                log.info("%s", error)
    finally:
        app.dispose()
