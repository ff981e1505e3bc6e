"""Calls of the EMR API at a steady rate, and how long each took to be answered.

Open loop: a call is due at its time whether or not earlier ones were answered, and its latency counts from then, so
that a server that stalls does not hide it by slowing its callers down. Plain HTTP on kept connections: boto3 would
take more time than what is measured.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Call = tuple[str, Mapping[str, Any]]


@dataclass
class Measured:
    """:param answers: in the order of the calls; of those that were not refused
    :param late_seconds: how far behind its schedule the generator itself sent, at most
    """

    latencies_seconds: list[float] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    late_seconds: float = 0.0
    took_seconds: float = 0.0

    @classmethod
    def together(cls, parts: Sequence[Measured]) -> Measured:
        """The calls of all parts as one."""
        return cls(
            latencies_seconds=[each for part in parts for each in part.latencies_seconds],
            answers=[each for part in parts for each in part.answers],
            refused=[each for part in parts for each in part.refused],
            late_seconds=max(part.late_seconds for part in parts),
            took_seconds=sum(part.took_seconds for part in parts),
        )

    def percentile_ms(self, share: float) -> float:
        """The latency that this share of the calls did not exceed."""
        ordered = sorted(self.latencies_seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Connections:
    """Kept connections to one port of 127.0.0.1; as many as calls are under way at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def call(self, operation: str, request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        reader, writer = self._free.pop() if self._free else await self._open()
        body = json.dumps(request).encode()
        head = (
            f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/x-amz-json-1.1\r\n"
            f"X-Amz-Target: ElasticMapReduce.{operation}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        status = int((await reader.readline()).split()[1])
        length = 0
        while (line := await reader.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        answer: dict[str, Any] = json.loads(await reader.readexactly(length))
        self._free.append((reader, writer))
        return status, answer

    def close(self) -> None:
        for _, writer in self._free:
            writer.close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port)


async def send(connections: Connections, calls: Iterator[Call], *, per_second: float) -> Measured:
    """Send the calls, each at its time, and wait for every answer."""
    measured = Measured()
    started = time.monotonic()

    async def one(call: Call, due: float) -> tuple[int, dict[str, Any]]:
        answered = await connections.call(*call)
        measured.latencies_seconds.append(time.monotonic() - due)
        return answered

    under_way = []
    for number, call in enumerate(calls):
        due = started + number / per_second
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        measured.late_seconds = max(measured.late_seconds, time.monotonic() - due)
        under_way.append(asyncio.create_task(one(call, due)))
    for status, answer in await asyncio.gather(*under_way):
        if status == 200:
            measured.answers.append(answer)
        else:
            measured.refused.append(str(answer))
    measured.took_seconds = time.monotonic() - started
    return measured
