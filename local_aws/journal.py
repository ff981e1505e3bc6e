"""What happened: every call of EMR's API with its answer, every cluster with the states that it went through.

Kept in memory, for tests and for a person who wonders; it begins with the process. Of calls the newest 100,000
are kept, of clusters all.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from threading import Lock
from typing import Any

from local_aws.emr.values import Cluster, ClusterId, StepId

CALLS_KEPT = 100_000


@dataclass(frozen=True)
class Call:
    """One request.

    :param number: counts from 1 for the process's whole life
    :param cluster_ids: whom it concerned, also the new cluster of a RunJobFlow
    :param cluster_names: their names, also the one that a refused RunJobFlow asked for
    :param status: HTTP status of the answer; 0 where a fault broke the connection
    :param error: AWS's error code; None where the call succeeded, also if its answer was then dropped
    :param faults: ids of the faults that hit it
    :param seconds: from the request's being read to the answer, delays by faults included
    """

    number: int
    at: datetime
    operation: str
    cluster_ids: tuple[str, ...]
    cluster_names: tuple[str, ...]
    status: int
    error: str | None
    message: str | None
    faults: tuple[str, ...]
    seconds: float

    def concerns(self, cluster: str) -> bool:
        """Whether it was about the cluster of that id, or one whose name has that pattern."""
        named = any(fnmatchcase(name, cluster) for name in self.cluster_names)
        return cluster == "*" or cluster in self.cluster_ids or named


@dataclass(frozen=True)
class Change:
    """A cluster's or a step's new state."""

    at: datetime
    state: str
    code: str | None
    message: str | None


@dataclass
class StepLife:
    step_id: StepId
    name: str
    changes: list[Change] = field(default_factory=list)


@dataclass
class ClusterLife:
    cluster_id: ClusterId
    name: str
    created_at: datetime
    changes: list[Change] = field(default_factory=list)
    steps: dict[StepId, StepLife] = field(default_factory=dict)

    def show(self) -> dict[str, Any]:
        return asdict(self) | {"steps": [asdict(step) for step in self.steps.values()]}


class Journal:
    def __init__(self) -> None:
        self._lock = Lock()
        self._calls: deque[Call] = deque(maxlen=CALLS_KEPT)
        self._lives: dict[ClusterId, ClusterLife] = {}
        self._number = 0

    def add_call(self, call: Call) -> None:
        """Take note of a call; its number is given here."""
        with self._lock:
            self._number += 1
            self._calls.append(replace(call, number=self._number))

    def see(self, before: Cluster | None, after: Cluster, now: datetime) -> None:
        """Take note of what changed in a cluster's state and its steps'."""
        with self._lock:
            life = self._lives.get(after.cluster_id)
            if life is None:
                life = ClusterLife(after.cluster_id, after.name, after.created_at)
                self._lives[after.cluster_id] = life
            if before is None or (before.state, before.reason) != (after.state, after.reason):
                reason = after.reason
                life.changes.append(Change(now, after.state.value, reason.code, reason.message))
            if before is None or before.steps is not after.steps:
                _see_steps(life, before, after, now)

    def calls(self, *, operation: str = "*", cluster: str = "*", after: int = 0) -> list[Call]:
        """Oldest first.

        :param operation: pattern of the operation's name
        :param cluster: a cluster's id, or a pattern of its name
        :param after: only those with a higher number
        """
        with self._lock:
            return [
                call
                for call in self._calls
                if call.number > after and fnmatchcase(call.operation, operation) and call.concerns(cluster)
            ]

    def clusters(self, *, cluster: str = "*") -> list[dict[str, Any]]:
        """The lives of clusters, oldest first."""
        with self._lock:
            return [life.show() for life in self._lives.values() if _is_called(life, cluster)]

    def clear(self) -> None:
        """Forget all; of a cluster that goes on living, only what comes is told."""
        with self._lock:
            self._calls.clear()
            self._lives.clear()


def _is_called(life: ClusterLife, cluster: str) -> bool:
    return cluster == life.cluster_id or fnmatchcase(life.name, cluster)


def _see_steps(life: ClusterLife, before: Cluster | None, after: Cluster, now: datetime) -> None:
    known = {step.step_id: step for step in before.steps} if before else {}
    for step in after.steps:
        earlier = known.get(step.step_id)
        if earlier is None or earlier.state is not step.state:
            seen = life.steps.setdefault(step.step_id, StepLife(step.step_id, step.name))
            message = step.failure.message if step.failure else step.reason.message
            seen.changes.append(Change(now, step.state.value, step.reason.code, message))
