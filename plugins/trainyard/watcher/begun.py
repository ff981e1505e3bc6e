"""What is told of waits that begin in the triggerer: in the ledger that they wait, and their links in Airflow's UI.

One queue and one thread, however many begin at once, and nobody waits for it: a ledger that hangs keeps nobody's end
from being seen. It is told again until the ledger has it, by which a later try knows that there was an earlier one.
"""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Timer

from airflow.sdk.execution_time.xcom import XCom

from trainyard import connections, ledger
from trainyard.watcher.states import RunKey, task_key, task_states
from trainyard.watcher.training import TrainingTrigger

_TELL_AGAIN_SECONDS = 30

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Begun:
    """A wait that begins.

    :param links: of the task that waits, by their keys
    """

    training: TrainingTrigger
    links: dict[str, str]


_queue: deque[Begun] = deque()
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trainyard-begun")


def tell(wait: Begun) -> None:
    """Returns at once."""
    _queue.append(wait)
    _thread.submit(_tell_all)


def _tell_all() -> None:
    """All that have come by now; who comes meanwhile is the next call's."""
    waits = [_queue.popleft() for _ in range(len(_queue))]
    by_database: defaultdict[str, list[Begun]] = defaultdict(list)
    try:
        for wait in _waiting(waits):
            by_database[wait.training.app_db].append(wait)
        for app_db, group in by_database.items():
            _record(app_db, group)
    except Exception:
        log.warning("that %d tasks wait will be told again", len(waits), exc_info=True)
        _tell_later(waits)
        return
    for group in by_database.values():
        for wait in group:
            _link(wait)


def _tell_later(waits: list[Begun]) -> None:
    def tell_again() -> None:
        _queue.extend(waits)
        _thread.submit(_tell_all)

    timer = Timer(_TELL_AGAIN_SECONDS, tell_again)
    timer.daemon = True
    timer.start()


def _waiting(waits: list[Begun]) -> list[Begun]:
    """Those whose task really waits: the trigger of one that was cleared lives on until the task is scheduled again."""
    by_run: defaultdict[RunKey, list[Begun]] = defaultdict(list)
    for wait in waits:
        by_run[task_key(wait.training.task_instance)[:2]].append(wait)
    waiting = []
    for run, group in by_run.items():
        states = task_states(run, {task_key(wait.training.task_instance)[2] for wait in group})
        waiting += [
            wait for wait in group if states.get(task_key(wait.training.task_instance)[2]) == "deferred"
        ]
    return waiting


def _link(wait: Begun) -> None:
    """Best effort: a link that cannot be made must not fail a wait whose cluster runs."""
    dag_id, run_id, task_id = task_key(wait.training.task_instance)
    try:
        for key, url in wait.links.items():
            XCom.set(key, url, dag_id=dag_id, run_id=run_id, task_id=task_id)
    except Exception:
        log.warning("%s of %s has not got its links", task_id, run_id, exc_info=True)


def _record(app_db: str, waits: list[Begun]) -> None:
    app = connections.watching_database(app_db)
    try:
        for wait in waits:
            try:
                ledger.record_wait(app, training_id=wait.training.training_id, attempt=wait.training.attempt)
            except ledger.LedgerError as error:
                # it has ended meanwhile: nobody waits for it any more
                log.info("%s", error)
    finally:
        app.dispose()
