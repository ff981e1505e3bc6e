"""Waiting for the log of a cluster that failed without a word from its job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from trainyard import connections
from trainyard.driver_log import find_logs

_SECONDS_BETWEEN_LOOKS = 10


class LogTrigger(BaseTrigger):
    """Waits until the driver's and the step's log are in S3, or until the time for it is up.

    :param payload: what the task is resumed with, either way
    :param give_up_at: ISO time
    """

    def __init__(
        self, *, payload: dict[str, Any], log_uri: str, cluster_id: str, aws_conn_id: str, give_up_at: str
    ) -> None:
        super().__init__()
        self.payload = payload
        self.log_uri = log_uri
        self.cluster_id = cluster_id
        self.aws_conn_id = aws_conn_id
        self.give_up_at = give_up_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("payload", "log_uri", "cluster_id", "aws_conn_id", "give_up_at")
        return ("trainyard.watcher.LogTrigger", {name: getattr(self, name) for name in names})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        give_up_at = datetime.fromisoformat(self.give_up_at)
        while datetime.now(timezone.utc) < give_up_at and not await asyncio.to_thread(self._is_there):
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
        yield TriggerEvent(self.payload)

    def _is_there(self) -> bool:
        try:
            s3 = connections.s3_client(self.aws_conn_id)
            return find_logs(s3, log_uri=self.log_uri, cluster_id=self.cluster_id).whole
        except Exception:
            # the failure itself is known: its log is worth waiting for, and no more than that
            self.log.warning("the log of cluster %s cannot be looked for", self.cluster_id, exc_info=True)
            return False
