"""Waiting for the logs of clusters that failed without a word from their jobs: one look at S3 after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airflow.triggers.base import TriggerEvent

from trainyard.driver_log import find_logs
from trainyard.watcher import looks
from trainyard.watcher.looks import LookTrigger, Seen


@dataclass(frozen=True)
class ClusterLogs:
    """Where the logs of a cluster will be."""

    log_uri: str
    cluster_id: str


class LogTrigger(LookTrigger):
    """Waits until the driver's and the step's log are in S3, or until the time for it is up.

    Many may fail at once, by one zone, bootstrap script or release of the job: they share one client and one stream.

    :param payload: what the task is resumed with, either way
    :param give_up_at: ISO time
    """

    ARGUMENTS = ("payload", "log_uri", "cluster_id", "aws_conn_id", "give_up_at")
    STREAM = "trainyard.logs"
    SECONDS_BETWEEN_ROUNDS = 10.0

    def __init__(
        self, *, payload: dict[str, Any], log_uri: str, cluster_id: str, aws_conn_id: str, give_up_at: str
    ) -> None:
        super().__init__()
        self.payload = payload
        self.log_uri = log_uri
        self.cluster_id = cluster_id
        self.aws_conn_id = aws_conn_id
        self.give_up_at = give_up_at

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Seen]) -> AsyncIterator[TriggerEvent]:
        mine = ClusterLogs(self.log_uri, self.cluster_id)
        waiting = looks.waiting[self.shared_stream_key()]
        waiting[id(self)] = (mine,)
        give_up_at = datetime.fromisoformat(self.give_up_at)
        try:
            async for seen in shared_stream:
                if mine in seen.there or datetime.now(timezone.utc) > give_up_at:
                    yield TriggerEvent(self.payload)
                    return
        finally:
            del waiting[id(self)]

    @staticmethod
    def look(s3: Any, sought: ClusterLogs) -> bool:
        return find_logs(s3, log_uri=sought.log_uri, cluster_id=sought.cluster_id).whole
