"""What becomes of attempts whose task waits no more: one queue and one thread, however many are killed at once.

Within a second of calling ``on_kill`` the triggerer cancels it, and a run may be failed while hundreds wait. So nothing
of this depends on the coroutine that asks for it; Airflow is asked for many tasks at once, and EMR to terminate many
clusters.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from trainyard import clusters, connections, ledger
from trainyard.ledger import ClusterId
from trainyard.training import TrainingId
from trainyard.watcher import poll

# they go into the query of one request
_TASKS_AT_ONCE = 50
# throttling and lost connections delay the end of clusters, up to this; what is left is the reaper's
_PATIENCE_SECONDS = 300

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Killed:
    """An attempt whose trigger was ended.

    :param task: DAG, run and task that waited; none: not known, as where no Airflow runs
    :param cluster_id: none: it waited for a slot, without a cluster
    :param reason: why the attempt ends, for the ledger
    """

    training_id: TrainingId
    attempt: int
    cluster_id: ClusterId | None
    aws_conn_id: str
    app_db: str
    task: tuple[str, str, str] | None
    reason: str


_queue: deque[Killed] = deque()
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trainyard-killed")


async def settle(killed: Killed) -> None:
    """End the attempt and its cluster, if its task really waits no more; done even where this is cancelled.

    A triggerer that stalled for a while is told of tasks that another one has taken over: Airflow is asked how the task
    stands, and one that is still deferred is left alone.
    """
    _queue.append(killed)
    await asyncio.shield(asyncio.wrap_future(_thread.submit(_settle_all)))


def _settle_all() -> None:
    """All that have come by now; who comes meanwhile is the next call's."""
    all_killed = [_queue.popleft() for _ in range(len(_queue))]
    by_connection: defaultdict[str, list[Killed]] = defaultdict(list)
    for killed in _no_longer_waiting(all_killed):
        by_connection[killed.aws_conn_id].append(killed)
    for aws_conn_id, group in by_connection.items():
        try:
            _end_attempts(_terminate(aws_conn_id, group))
        except Exception:
            log.exception("%d attempts could not be ended; the reaper will", len(group))


def _no_longer_waiting(all_killed: Iterable[Killed]) -> list[Killed]:
    ended = []
    by_run: defaultdict[tuple[str, str], list[Killed]] = defaultdict(list)
    for killed in all_killed:
        if killed.task is None:
            ended.append(killed)
        else:
            by_run[killed.task[:2]].append(killed)
    for (dag_id, run_id), group in by_run.items():
        rest = iter(group)
        while some := list(islice(rest, _TASKS_AT_ONCE)):
            ended += _ended_in_run(dag_id, run_id, some)
    return ended


def _ended_in_run(dag_id: str, run_id: str, group: list[Killed]) -> list[Killed]:
    by_task = {killed.task[2]: killed for killed in group if killed.task is not None}
    try:
        states = RuntimeTaskInstance.get_task_states(
            dag_id=dag_id, task_ids=sorted(by_task), run_ids=[run_id]
        ).get(run_id, {})
    except Exception:
        log.exception("Airflow does not say how %d tasks stand; the reaper ends what they leave", len(group))
        return []
    waiting = {task_id for task_id in by_task if states.get(task_id) == "deferred"}
    for task_id in sorted(waiting):
        log.info("%s of %s still waits elsewhere; its attempt goes on", task_id, run_id)
    return [killed for killed in group if killed.task is not None and killed.task[2] not in waiting]


def _terminate(aws_conn_id: str, group: list[Killed]) -> list[Killed]:
    """Those that have no cluster any more."""
    cluster_ids = [killed.cluster_id for killed in group if killed.cluster_id is not None]
    ended: frozenset[ClusterId] = frozenset()
    if cluster_ids:
        # the client of the poll that they waited on, where there is one
        emr = poll.clients.get(aws_conn_id) or connections.watching_emr_client(aws_conn_id)
        ended = clusters.terminate_all(emr, cluster_ids, seconds=_PATIENCE_SECONDS)
    return [killed for killed in group if killed.cluster_id is None or killed.cluster_id in ended]


def _end_attempts(ended: list[Killed]) -> None:
    by_database: defaultdict[str, list[Killed]] = defaultdict(list)
    for killed in ended:
        by_database[killed.app_db].append(killed)
    for app_db, group in by_database.items():
        app = connections.database(app_db)
        try:
            for killed in group:
                ledger.end(
                    app,
                    training_id=killed.training_id,
                    attempt=killed.attempt,
                    outcome="abandoned",
                    failure_code="task_ended",
                    failure_reason=killed.reason,
                    # its task may have gone on without this trigger: what it has launched since is not ours to end
                    only_queued=killed.cluster_id is None,
                )
        finally:
            app.dispose()
