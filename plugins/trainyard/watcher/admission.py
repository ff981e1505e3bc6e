"""Waiting for a slot under the account's limits."""

from __future__ import annotations

from collections.abc import AsyncIterator

from airflow.triggers.base import TriggerEvent

from trainyard.watcher import poll
from trainyard.watcher.base import AttemptTrigger
from trainyard.watcher.poll import Asking, Sighting


class AdmissionTrigger(AttemptTrigger):
    """Waits until the attempt may launch, which resumes its task on a worker."""

    AWAITED = "a slot"

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Sighting]
    ) -> AsyncIterator[TriggerEvent]:
        asking = poll.groups[self.shared_stream_key()].asking
        asking[id(self)] = mine = Asking(self.training_id, self.attempt, self.app_db)
        try:
            async for sighting in shared_stream:
                if mine.key in sighting.admitted:
                    yield TriggerEvent({"admitted": True})
                    return
        finally:
            del asking[id(self)]
