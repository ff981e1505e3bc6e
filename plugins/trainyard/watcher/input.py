"""Waiting for input that is late: one look at S3 for all that wait for the same folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airflow.triggers.base import TriggerEvent

from trainyard.inputs import is_there
from trainyard.watcher import looks
from trainyard.watcher.looks import LookTrigger, Seen


@dataclass(frozen=True)
class Place:
    """A folder or object, and the object that marks a folder as whole."""

    uri: str
    marker: str | None


class InputTrigger(LookTrigger):
    """Waits until every input is there, or until the time for it is up.

    The payload's ``there`` says which, and ``refused`` S3's words where it was not even to be looked at; the task then
    lists the inputs itself.

    :param places: of each input the URI, and the marker or none
    :param give_up_at: ISO time
    """

    ARGUMENTS = ("places", "aws_conn_id", "give_up_at")
    STREAM = "trainyard.inputs"
    # between two rounds, however few wait
    SECONDS_BETWEEN_ROUNDS = 15.0

    def __init__(self, *, places: list[list[str | None]], aws_conn_id: str, give_up_at: str) -> None:
        super().__init__()
        self.places = places
        self.aws_conn_id = aws_conn_id
        self.give_up_at = give_up_at

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Seen]) -> AsyncIterator[TriggerEvent]:
        mine = tuple(Place(str(uri), marker) for uri, marker in self.places)
        waiting = looks.waiting[self.shared_stream_key()]
        waiting[id(self)] = mine
        give_up_at = datetime.fromisoformat(self.give_up_at)
        try:
            async for seen in shared_stream:
                if seen.there.issuperset(mine):
                    yield TriggerEvent({"there": True})
                    return
                if datetime.now(timezone.utc) > give_up_at:
                    refused = [
                        f"{place.uri}: {seen.refused[place]}" for place in mine if place in seen.refused
                    ]
                    yield TriggerEvent({"there": False, "refused": refused})
                    return
        finally:
            del waiting[id(self)]

    @staticmethod
    def look(s3: Any, place: Place) -> bool:
        return is_there(s3, place.uri, marker=place.marker)
