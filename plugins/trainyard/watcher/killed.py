"""What becomes of attempts whose task waits no more, of many together.

Within a second of calling ``on_kill`` the triggerer cancels it, and a run may be failed while hundreds wait. So nothing
of this depends on the coroutine that asks for it; Airflow is asked for many tasks at once, and EMR to terminate many
clusters.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from trainyard import clusters, connections, ledger
from trainyard.ledger import ClusterId
from trainyard.training import TrainingId
from trainyard.watcher import poll
from trainyard.watcher.states import RunKey, TaskKey, task_states
from trainyard.watcher.together import Together

# throttling and lost connections delay the end of clusters, up to this; what is left is the reaper's
_PATIENCE_SECONDS = 300
# A task that was cleared may be deferred again at once, by its next try, which goes on to a worker within seconds.
_ASK_AGAIN_SECONDS = 15
# what has its own trigger, or a worker that judges or replaces the attempt
_GOES_ON = ("deferred", "running")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Killed:
    """An attempt whose trigger was ended.

    :param task: DAG, run and task that waited; none: not known, as where no Airflow runs
    :param cluster_id: none: it waited for a slot, without a cluster
    :param reason: why the attempt ends, for the ledger
    :param asked: whether its task has been seen to go on already
    """

    training_id: TrainingId
    attempt: int
    cluster_id: ClusterId | None
    aws_conn_id: str
    app_db: str
    task: TaskKey | None
    reason: str
    asked: bool = False


async def settle(killed: Killed) -> None:
    """End the attempt and its cluster, if its task really waits no more; done even where this is cancelled.

    A triggerer that stalled for a while is told of tasks that another one has taken over: Airflow is asked how the task
    stands, and one that goes on, deferred or on a worker, also when Airflow is asked again, is left alone.
    """
    await asyncio.shield(asyncio.wrap_future(_killed.add(killed)))


def _settle(all_killed: list[Killed]) -> None:
    by_connection: defaultdict[str, list[Killed]] = defaultdict(list)
    for killed in _no_longer_waiting(all_killed):
        by_connection[killed.aws_conn_id].append(killed)
    for aws_conn_id, group in by_connection.items():
        try:
            _end_attempts(_terminate(aws_conn_id, group))
        except Exception:
            log.exception("%d attempts could not be ended; the reaper will", len(group))


_killed = Together("killed", _settle)


def _no_longer_waiting(all_killed: Iterable[Killed]) -> list[Killed]:
    ended = []
    by_run: defaultdict[RunKey, list[tuple[str, Killed]]] = defaultdict(list)
    for killed in all_killed:
        if killed.task is None:
            ended.append(killed)
        else:
            by_run[killed.task[:2]].append((killed.task[2], killed))
    for run, group in by_run.items():
        ended += _ended_in_run(run, group)
    return ended


def _ended_in_run(run: RunKey, group: list[tuple[str, Killed]]) -> list[Killed]:
    """Those of the group, each with its task's id, whose task has ended."""
    try:
        states = task_states(run, {task_id for task_id, _ in group})
    except Exception:
        log.exception("Airflow does not say how %d tasks stand; the reaper ends what they leave", len(group))
        return []
    ended, again = [], []
    for task_id, killed in group:
        state = states.get(task_id)
        if killed.asked and state in _GOES_ON:
            log.info("%s of %s still waits elsewhere; its attempt goes on", task_id, run[1])
        elif state in _GOES_ON:
            again.append(replace(killed, asked=True))
        else:
            ended.append(killed)
    if again:
        _killed.add_later(*again, seconds=_ASK_AGAIN_SECONDS)
    return ended


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
