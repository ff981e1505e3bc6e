"""Waiting for nothing but time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from typing import Any

from airflow.triggers.base import TriggerEvent

from trainyard.watcher.base import WithoutDag


class PauseTrigger(WithoutDag):
    """Resumes its task at a time; the stock trigger would keep the DAG for as long.

    :param until: ISO time
    """

    def __init__(self, *, until: str) -> None:
        super().__init__()
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "trainyard.watcher.PauseTrigger", {"until": self.until}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        left = datetime.fromisoformat(self.until) - datetime.now(timezone.utc)
        await asyncio.sleep(left.total_seconds())
        yield TriggerEvent(None)
