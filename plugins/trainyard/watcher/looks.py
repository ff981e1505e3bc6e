"""Looks at S3 that all who wait for the same kind of thing share: one client, one look at a time, whoever waits.

A stream never raises: an exception would fail everything that waits on it. What cannot be looked at is not there, and
keeps nothing else from being looked at.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from trainyard import connections
from trainyard.watcher.base import WithoutDag

# Between two looks, whoever waits: five hundred models of two folders each are all looked at within two minutes.
SECONDS_BETWEEN_LOOKS = 0.1

# a dataclass that says what to look for
Sought: TypeAlias = Any

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """What a round found.

    :param there: what was found
    :param refused: what could not be looked at, and S3's words for it
    """

    there: frozenset[Sought] = frozenset()
    refused: Mapping[Sought, str] = field(default_factory=dict)


# what triggers of this process wait for, by stream and trigger
waiting: defaultdict[Hashable, dict[int, tuple[Sought, ...]]] = defaultdict(dict)


class LookTrigger(WithoutDag, BaseEventTrigger):
    """One that waits for something in S3 that the shared looks see.

    ``ARGUMENTS`` names what a trigger is made of anew, ``STREAM`` the kind of thing that is looked for.
    """

    ARGUMENTS: ClassVar[tuple[str, ...]]
    STREAM: ClassVar[str]
    SECONDS_BETWEEN_ROUNDS: ClassVar[float]
    aws_conn_id: str

    @staticmethod
    def look(s3: Any, sought: Sought) -> bool:
        """One look, by an S3 client."""
        raise NotImplementedError

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"trainyard.watcher.{type(self).__name__}",
            {name: getattr(self, name) for name in self.ARGUMENTS},
        )

    def shared_stream_key(self) -> Hashable:
        return self._key(self.aws_conn_id)

    @classmethod
    def _key(cls, aws_conn_id: str) -> Hashable:
        return (cls.STREAM, aws_conn_id)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Seen]:
        """After every round, what is there."""
        aws_conn_id = kwargs["aws_conn_id"]
        async for seen in _rounds(
            cls._key(aws_conn_id), aws_conn_id, cls.look, seconds_between=cls.SECONDS_BETWEEN_ROUNDS
        ):
            yield seen

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait alone, where there is no triggerer: ``airflow dags test``."""
        stream = type(self).open_shared_stream(self.serialize()[1])
        async for event in self.filter_shared_stream(stream):
            yield event


async def _rounds(
    key: Hashable, aws_conn_id: str, is_there: Callable[[Any, Sought], bool], *, seconds_between: float
) -> AsyncIterator[Seen]:
    """What is there of all that is waited for, after every round.

    :param key: of the stream
    :param is_there: one look, by an S3 client
    :param seconds_between: two rounds
    """
    told: set[Sought] = set()
    while True:
        try:
            s3 = await asyncio.to_thread(connections.watching_s3_client, aws_conn_id)
            while True:
                sought = {item for items in waiting[key].values() for item in items}
                seen = await _round(s3, is_there, sought, told)
                yield seen
                await asyncio.sleep(seconds_between + random.uniform(0, 1))  # noqa: S311
                if seen.refused and not seen.there:
                    # the client's credentials may be what is refused
                    break
        except Exception:
            log.warning("S3 could not be asked; the next round will", exc_info=True)
            await asyncio.sleep(seconds_between)
            yield Seen()


async def _round(
    s3: Any, is_there: Callable[[Any, Sought], bool], sought: Iterable[Sought], told: set[Sought]
) -> Seen:
    there: set[Sought] = set()
    refused: dict[Sought, str] = {}
    for item in sorted(sought, key=str):
        try:
            if await asyncio.to_thread(is_there, s3, item):
                there.add(item)
        except Exception as error:
            if item not in told:
                log.warning("%s cannot be looked for; the next rounds will try", item, exc_info=True)
            told.add(item)
            refused[item] = str(error)
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
    return Seen(frozenset(there), refused)
