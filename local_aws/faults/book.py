"""The faults in force: whom each may still hit, and how often it has hit.

Not locked: it is asked and changed only under the service's one lock, and takes the time from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import count
from typing import Any, NewType, TypeVar

from local_aws.faults.kinds import CallFault, Fault, StepFault, Throttle
from local_aws.faults.token_bucket import TokenBucket

FaultId = NewType("FaultId", str)
Kind = TypeVar("Kind")


class NoSuchFaultError(Exception):
    """An id that no fault in force has."""


@dataclass
class Standing:
    """A fault in force and its history."""

    fault_id: FaultId
    fault: Fault
    since: datetime
    hits: int = 0
    buckets: dict[str, TokenBucket] = field(default_factory=dict)

    def in_force(self, now: datetime) -> bool:
        fault = self.fault
        if fault.times is not None and self.hits >= fault.times:
            return False
        return fault.for_seconds is None or (now - self.since).total_seconds() < fault.for_seconds

    def show(self, now: datetime) -> dict[str, Any]:
        return {
            "id": self.fault_id,
            **self.fault.model_dump(exclude_none=True),
            "since": self.since.isoformat(),
            "hits": self.hits,
            "in_force": self.in_force(now),
        }


class FaultBook:
    def __init__(self) -> None:
        self._standing: dict[FaultId, Standing] = {}
        self._numbers = count(1)

    def add(self, faults: Sequence[Fault], now: datetime) -> list[FaultId]:
        added = [Standing(FaultId(f"f-{next(self._numbers)}"), fault, now) for fault in faults]
        self._standing |= {standing.fault_id: standing for standing in added}
        return [standing.fault_id for standing in added]

    def remove(self, fault_id: str) -> None:
        """Raises NoSuchFaultError."""
        if self._standing.pop(FaultId(fault_id), None) is None:
            raise NoSuchFaultError(
                f"no fault has the id {fault_id!r}; set are: {', '.join(self._standing) or 'none'}"
            )

    def clear(self) -> None:
        self._standing.clear()

    def show(self, now: datetime) -> list[dict[str, Any]]:
        return [standing.show(now) for standing in self._standing.values()]

    def has(self, kind: type[Any], now: datetime) -> bool:
        """Whether any fault of the kind is in force."""
        return next(self._of_kind(kind, now), None) is not None

    def find(self, kind: type[Kind], now: datetime, *, cluster: str) -> Kind | None:
        """The first fault of the kind for that cluster's name, without a hit being counted."""
        for standing in self._of_kind(kind, now):
            fault: Any = standing.fault
            if fnmatchcase(cluster, fault.cluster):
                found: Kind = fault
                return found
        return None

    def hit_listing(self, kind: type[Any], now: datetime, *, clusters: Iterable[str]) -> list[FaultId]:
        """Those that `find` finds for clusters of these names; each has hit once."""
        faults = list(self._of_kind(kind, now))
        hit: dict[FaultId, Standing] = {}
        for name in clusters if faults else ():
            found = next((each for each in faults if fnmatchcase(name, each.fault.cluster)), None)
            if found is not None:
                hit[found.fault_id] = found
        for standing in hit.values():
            standing.hits += 1
        return list(hit)

    def stands(self, fault_id: str, now: datetime) -> bool:
        """Whether a fault holds on to those that it has hit."""
        standing = self._standing.get(FaultId(fault_id))
        until = self.stands_until(fault_id)
        return standing is not None and (until is None or now < until)

    def stands_until(self, fault_id: str) -> datetime | None:
        """When a fault lets go of those that it has hit; None: when it is removed."""
        standing = self._standing.get(FaultId(fault_id))
        if standing is None or standing.fault.for_seconds is None:
            return None
        return standing.since + timedelta(seconds=standing.fault.for_seconds)

    def hit_cluster(
        self,
        kind: type[Kind],
        now: datetime,
        *,
        cluster: str,
        accepts: Callable[[FaultId, Kind], bool] = lambda _, __: True,
    ) -> tuple[FaultId, Kind] | None:
        """The first fault of the kind for that cluster's name that `accepts` it; counts the hit."""
        for standing in self._of_kind(kind, now):
            fault: Any = standing.fault
            if fnmatchcase(cluster, fault.cluster) and accepts(standing.fault_id, fault):
                standing.hits += 1
                return standing.fault_id, fault
        return None

    def hit_step(self, kind: type[Kind], now: datetime, *, cluster: str, step: str) -> Kind | None:
        def accepts(_: FaultId, fault: Kind) -> bool:
            return isinstance(fault, StepFault) and fnmatchcase(step, fault.step)

        found = self.hit_cluster(kind, now, cluster=cluster, accepts=accepts)
        return found[1] if found else None

    def hit_call(
        self, kind: type[Kind], now: datetime, *, operation: str, clusters: Sequence[str]
    ) -> tuple[FaultId, Kind] | None:
        """As `hit_cluster`, for a request that concerns the clusters of these names, or no one cluster's."""
        for standing in self._of_kind(kind, now):
            fault: Any = standing.fault
            if _concerns(fault, operation, clusters) and not self._has_token(standing, operation, now):
                standing.hits += 1
                return standing.fault_id, fault
        return None

    def _of_kind(self, kind: type[Any], now: datetime) -> Iterator[Standing]:
        for standing in self._standing.values():
            if isinstance(standing.fault, kind) and standing.in_force(now):
                yield standing

    @staticmethod
    def _has_token(standing: Standing, operation: str, now: datetime) -> bool:
        """Whether a throttle's bucket lets the call through; a fault without a bucket lets none."""
        fault = standing.fault
        if not isinstance(fault, Throttle) or fault.burst is None or fault.refill_per_second is None:
            return False
        bucket = standing.buckets.get(operation)
        if bucket is None:
            bucket = TokenBucket(burst=fault.burst, refill_per_second=fault.refill_per_second, now=now)
            standing.buckets[operation] = bucket
        return bucket.take(now)


def _concerns(fault: CallFault, operation: str, clusters: Sequence[str]) -> bool:
    if not any(fnmatchcase(operation, pattern) for pattern in fault.calls):
        return False
    return fault.cluster == "*" or any(fnmatchcase(name, fault.cluster) for name in clusters)
