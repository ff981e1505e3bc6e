"""The one poll that all waiting trainings share.

Every waiting training of a connection and region is a trigger; Airflow's triggerer runs one stream for all of them. The
stream lists the active clusters, at most one EMR call every two seconds whatever the number of trainings; a watched
cluster that is no longer among the active is looked at once. Its state goes to every trigger, and each picks its own.

The stream never raises: an exception would fail every training that waits on it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.base import BaseEventTrigger, TaskSuccessEvent, TriggerEvent
from botocore.exceptions import BotoCoreError, ClientError

from trainyard import clusters, connections, ledger
from trainyard.clusters import ACTIVE_STATES, ClusterStatus
from trainyard.ledger import ClusterId
from trainyard.training import TrainingId

SECONDS_BETWEEN_CALLS = 2.0
_JITTER_SECONDS = 0.5

log = logging.getLogger(__name__)

# The clusters that triggers of this process wait for, by shared stream and trigger. The stream is opened with one
# trigger's arguments only, so that this is how it learns of the others'.
_watched: defaultdict[Hashable, dict[int, ClusterId]] = defaultdict(dict)

# The stream's client, by connection, for whoever must be quick.
_clients: dict[str, Any] = {}


@dataclass(frozen=True)
class Sighting:
    """What one call to EMR saw; empty where EMR did not answer, so that time limits still run."""

    clusters: Mapping[ClusterId, ClusterStatus] = field(default_factory=dict)


class TrainingTrigger(BaseEventTrigger):
    """Waits until the attempt's cluster has ended, or until its time is up.

    Success ends the task in the triggerer. Anything else resumes it on a worker, which judges the attempt, with a
    payload of ``training_id`` and ``attempt``.

    :param app_db: id of the Airflow connection to the application database, where the ledger is
    :param give_up_at: ISO time after which the cluster is overdue: later than the job's own deadline
    """

    def __init__(
        self,
        *,
        training_id: TrainingId,
        attempt: int,
        cluster_id: ClusterId,
        aws_conn_id: str,
        region_name: str | None,
        app_db: str,
        give_up_at: str,
    ) -> None:
        super().__init__()
        self.training_id = training_id
        self.attempt = attempt
        self.cluster_id = cluster_id
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.app_db = app_db
        self.give_up_at = give_up_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("training_id", "attempt", "cluster_id", "aws_conn_id", "region_name", "app_db", "give_up_at")
        return (f"{__name__}.TrainingTrigger", {name: getattr(self, name) for name in names})

    def shared_stream_key(self) -> Hashable:
        return _stream_key(self.serialize()[1])

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Sighting]:
        watched = _watched[_stream_key(kwargs)]
        while True:
            try:
                # in a thread: a hook called in the event loop loses its connection and points at real AWS
                emr = await asyncio.to_thread(connections.watching_emr_client, kwargs["aws_conn_id"])
                _clients[kwargs["aws_conn_id"]] = emr
                while True:
                    async for sighting in _round(emr, watched):
                        yield sighting
            except Exception:
                log.warning("EMR could not be asked; the next round will", exc_info=True)
                await _pause()
                yield Sighting()

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Sighting]
    ) -> AsyncIterator[TriggerEvent]:
        watched = _watched[self.shared_stream_key()]
        watched[id(self)] = self.cluster_id
        give_up_at = datetime.fromisoformat(self.give_up_at)
        try:
            async for sighting in shared_stream:
                status = sighting.clusters.get(self.cluster_id)
                if status is not None and status.succeeded:
                    await self._record_success()
                    yield TaskSuccessEvent()
                    return
                if (status is not None and status.ended) or datetime.now(timezone.utc) > give_up_at:
                    yield TriggerEvent({"training_id": self.training_id, "attempt": self.attempt})
                    return
        finally:
            del watched[id(self)]

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait alone, where there is no triggerer: ``airflow dags test``."""
        stream = type(self).open_shared_stream(self.serialize()[1])
        async for event in self.filter_shared_stream(stream):
            yield event

    async def on_kill(self) -> None:
        """Terminate the cluster, if the task really waits no more.

        A triggerer that stalled for a while is told the same of tasks that another triggerer has taken over.
        """
        # the triggerer cancels this again at its every round, within seconds: a thread runs to its end all the same
        await asyncio.to_thread(self._abandon)

    def _abandon(self) -> None:
        if self._still_deferred():
            self.log.info("the task still waits elsewhere; cluster %s goes on", self.cluster_id)
            return
        # a run may be failed while hundreds wait: no time for a client each
        emr = _clients.get(self.aws_conn_id) or connections.watching_emr_client(self.aws_conn_id)
        clusters.terminate(emr, self.cluster_id)
        self._end("abandoned", "task_ended", "the task was ended while it waited for its cluster")

    async def _record_success(self) -> None:
        try:
            await asyncio.to_thread(self._end, "succeeded", None, None)
        except Exception:
            # publish ends what it finds with a manifest: the ledger's word is late then, not lost
            self.log.warning("the ledger could not be reached; publish will record the end", exc_info=True)

    def _end(self, outcome: ledger.Outcome, code: str | None, reason: str | None) -> None:
        app = connections.database(self.app_db)
        try:
            ledger.end(
                app,
                training_id=self.training_id,
                attempt=self.attempt,
                outcome=outcome,
                failure_code=code,
                failure_reason=reason,
            )
        finally:
            app.dispose()

    def _still_deferred(self) -> bool:
        task = self.task_instance
        if task is None:
            return False
        states = RuntimeTaskInstance.get_task_states(
            dag_id=task.dag_id, task_ids=[task.task_id], run_ids=[task.run_id]
        )
        return bool(states.get(task.run_id, {}).get(task.task_id) == "deferred")


def _stream_key(kwargs: Mapping[str, Any]) -> Hashable:
    return ("trainyard", kwargs["aws_conn_id"], kwargs["region_name"])


async def _round(emr: Any, watched: Mapping[int, ClusterId]) -> AsyncIterator[Sighting]:
    """Look at every active cluster, page by page, then at each watched one that is not among them."""
    awaited = set(watched.values())
    marker: dict[str, str] = {}
    while True:
        await _pause()
        page = await asyncio.to_thread(emr.list_clusters, ClusterStates=list(ACTIVE_STATES), **marker)
        seen = {ClusterId(cluster["Id"]): clusters.status_of(cluster) for cluster in page["Clusters"]}
        awaited -= seen.keys()
        yield Sighting(seen)
        if "Marker" not in page:
            break
        marker = {"Marker": page["Marker"]}
    for cluster_id in awaited:
        await _pause()
        yield await asyncio.to_thread(_look_at, emr, cluster_id)


def _look_at(emr: Any, cluster_id: ClusterId) -> Sighting:
    try:
        return Sighting({cluster_id: clusters.describe(emr, cluster_id)})
    except (BotoCoreError, ClientError):
        # one that EMR does not know must not keep the others from being looked at
        log.warning("cluster %s could not be described; the next round will", cluster_id, exc_info=True)
        return Sighting()


async def _pause() -> None:
    await asyncio.sleep(SECONDS_BETWEEN_CALLS + random.uniform(0, _JITTER_SECONDS))  # noqa: S311
