"""Waiting for input that is late: one look at S3 for all that wait for the same folder."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from trainyard import connections
from trainyard.inputs import is_there

# Between two looks at S3, whoever waits: five hundred models of two folders each are all looked at within two minutes.
SECONDS_BETWEEN_LOOKS = 0.1
# between two rounds, however few wait
SECONDS_BETWEEN_ROUNDS = 15.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """A folder or object, and the object that marks a folder as whole."""

    uri: str
    marker: str | None


# what triggers of this process wait for, by stream and trigger
_waiting: defaultdict[Hashable, dict[int, tuple[Place, ...]]] = defaultdict(dict)


class InputTrigger(BaseEventTrigger):
    """Waits until every input is there, or until the time for it is up.

    The payload's ``there`` says which; the task then lists the inputs itself.

    :param places: of each input the URI, and the marker or none
    :param give_up_at: ISO time
    """

    def __init__(self, *, places: list[list[str | None]], aws_conn_id: str, give_up_at: str) -> None:
        super().__init__()
        self.places = places
        self.aws_conn_id = aws_conn_id
        self.give_up_at = give_up_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("places", "aws_conn_id", "give_up_at")
        return ("trainyard.watcher.InputTrigger", {name: getattr(self, name) for name in names})

    def shared_stream_key(self) -> Hashable:
        return ("trainyard.inputs", self.aws_conn_id)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[frozenset[Place]]:
        """After every round, the places that are there. Never raises: that would fail all that wait."""
        waiting = _waiting["trainyard.inputs", kwargs["aws_conn_id"]]
        while True:
            try:
                s3 = await asyncio.to_thread(connections.s3_client, kwargs["aws_conn_id"])
                while True:
                    yield await _round(s3, {place for places in waiting.values() for place in places})
                    await asyncio.sleep(SECONDS_BETWEEN_ROUNDS + random.uniform(0, 1))  # noqa: S311
            except Exception:
                log.warning("S3 could not be asked; the next round will", exc_info=True)
                await asyncio.sleep(SECONDS_BETWEEN_ROUNDS)
                yield frozenset()

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[frozenset[Place]]
    ) -> AsyncIterator[TriggerEvent]:
        mine = tuple(Place(str(uri), marker) for uri, marker in self.places)
        waiting = _waiting[self.shared_stream_key()]
        waiting[id(self)] = mine
        give_up_at = datetime.fromisoformat(self.give_up_at)
        try:
            async for there in shared_stream:
                if there.issuperset(mine):
                    yield TriggerEvent({"there": True})
                    return
                if datetime.now(timezone.utc) > give_up_at:
                    yield TriggerEvent({"there": False})
                    return
        finally:
            del waiting[id(self)]

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait alone, where there is no triggerer: ``airflow dags test``."""
        stream = type(self).open_shared_stream(self.serialize()[1])
        async for event in self.filter_shared_stream(stream):
            yield event


async def _round(s3: Any, places: set[Place]) -> frozenset[Place]:
    there = []
    for place in sorted(places, key=lambda place: place.uri):
        if await asyncio.to_thread(is_there, s3, place.uri, marker=place.marker):
            there.append(place)
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
    return frozenset(there)
