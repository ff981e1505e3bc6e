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


@dataclass(frozen=True)
class Sighting:
    """What one round of the poll saw; empty where EMR did not answer, so that time limits still run."""

    clusters: Mapping[ClusterId, ClusterStatus] = field(default_factory=dict)


class TrainingTrigger(BaseEventTrigger):
    """Waits until the attempt's cluster has ended, or until its time is up.

    Success ends the task in the triggerer. Anything else resumes it on a worker, with a payload of ``status``
    (``ended`` or ``overdue``).

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
        emr: Any = None
        while True:
            try:
                # in a thread: a hook called in the event loop loses its connection and points at real AWS
                emr = emr or await asyncio.to_thread(connections.emr_client, kwargs["aws_conn_id"])
                sighting = await _look(emr, frozenset(watched.values()))
            except asyncio.CancelledError:
                raise
            except Exception:
                log.warning("EMR could not be asked; the next round will", exc_info=True)
                emr, sighting = None, Sighting()
                await _pause()
            yield sighting

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Sighting]
    ) -> AsyncIterator[TriggerEvent]:
        watched = _watched[self.shared_stream_key()]
        watched[id(self)] = self.cluster_id
        give_up_at = datetime.fromisoformat(self.give_up_at)
        try:
            async for sighting in shared_stream:
                status = sighting.clusters.get(self.cluster_id)
                if status is not None and status.ended:
                    yield await self._ended(status)
                    return
                if datetime.now(timezone.utc) > give_up_at:
                    yield TriggerEvent({"status": "overdue"})
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
        if await asyncio.to_thread(self._still_deferred):
            self.log.info("the task still waits elsewhere; cluster %s goes on", self.cluster_id)
            return
        emr = await asyncio.to_thread(connections.emr_client, self.aws_conn_id)
        await asyncio.to_thread(clusters.terminate, emr, self.cluster_id)
        await asyncio.to_thread(
            self._end, "abandoned", "task_ended", "the task was ended while it waited for its cluster"
        )

    async def _ended(self, status: ClusterStatus) -> TriggerEvent:
        if not status.succeeded:
            return TriggerEvent({"status": "ended"})
        try:
            await asyncio.to_thread(self._end, "succeeded", None, None)
        except Exception:
            # publish ends what it finds with a manifest: the ledger's word is late then, not lost
            self.log.warning("the ledger could not be reached; publish will record the end", exc_info=True)
        return TaskSuccessEvent()

    def _end(self, outcome: ledger.Outcome, code: str | None, reason: str | None) -> None:
        app = connections.database(self.app_db)
        ledger.end(
            app,
            training_id=self.training_id,
            attempt=self.attempt,
            outcome=outcome,
            failure_code=code,
            failure_reason=reason,
        )
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


async def _look(emr: Any, awaited: frozenset[ClusterId]) -> Sighting:
    """One round: every active cluster, and each watched one that is not among them."""
    seen: dict[ClusterId, ClusterStatus] = {}
    marker: dict[str, str] = {}
    while True:
        await _pause()
        page = await asyncio.to_thread(emr.list_clusters, ClusterStates=list(ACTIVE_STATES), **marker)
        for cluster in page["Clusters"]:
            seen[ClusterId(cluster["Id"])] = clusters.status_of(cluster)
        if "Marker" not in page:
            break
        marker = {"Marker": page["Marker"]}
    for cluster_id in awaited - seen.keys():
        await _pause()
        try:
            seen[cluster_id] = await asyncio.to_thread(clusters.describe, emr, cluster_id)
        except (BotoCoreError, ClientError):
            log.warning("cluster %s could not be described; the next round will", cluster_id, exc_info=True)
    return Sighting(seen)


async def _pause() -> None:
    await asyncio.sleep(SECONDS_BETWEEN_CALLS + random.uniform(0, _JITTER_SECONDS))  # noqa: S311
