"""Waiting for the end of a training's cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timezone

from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from trainyard.ledger import ClusterId
from trainyard.training import TrainingId
from trainyard.watcher import poll, told
from trainyard.watcher.base import AttemptTrigger
from trainyard.watcher.poll import Awaited, Sighting


class TrainingTrigger(AttemptTrigger):
    """Waits until the attempt's cluster has ended, or until its time is up.

    Success ends the task in the triggerer. Anything else resumes it on a worker, which judges the attempt, with a
    payload of ``training_id`` and ``attempt``.

    :param launched_at: ISO time; bounds the lists of ended clusters that are read
    :param give_up_at: ISO time after which the cluster is overdue: later than the job's own deadline
    """

    ARGUMENTS = (*AttemptTrigger.ARGUMENTS, "cluster_id", "launched_at", "give_up_at")
    AWAITED = "its cluster"
    cluster_id: ClusterId

    def __init__(
        self,
        *,
        training_id: TrainingId,
        attempt: int,
        cluster_id: ClusterId,
        launched_at: str,
        aws_conn_id: str,
        region_name: str | None,
        app_db: str,
        give_up_at: str,
    ) -> None:
        super().__init__(
            training_id=training_id,
            attempt=attempt,
            aws_conn_id=aws_conn_id,
            region_name=region_name,
            app_db=app_db,
        )
        self.cluster_id = cluster_id
        self.launched_at = launched_at
        self.give_up_at = give_up_at

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Sighting]
    ) -> AsyncIterator[TriggerEvent]:
        awaited = poll.groups[self.shared_stream_key()].awaited
        awaited[id(self)] = Awaited(self.cluster_id, datetime.fromisoformat(self.launched_at))
        give_up_at = datetime.fromisoformat(self.give_up_at)
        try:
            async for sighting in shared_stream:
                status = sighting.clusters.get(self.cluster_id)
                if status is not None and status.succeeded:
                    await told.succeeded(self)
                    yield TaskSuccessEvent()
                    return
                if (status is not None and status.ended) or datetime.now(timezone.utc) > give_up_at:
                    yield TriggerEvent({"training_id": self.training_id, "attempt": self.attempt})
                    return
        finally:
            del awaited[id(self)]
