"""The one place where the state machine meets time, threads and the disk.

Every change goes through `change`: under one lock the control plane changes, moves on, and is saved before
anybody is answered. What it wants done is handed to the machine under the same lock, so that a step's stop never
comes before its start; the machine reports back through the same door.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timezone
from threading import Condition, Thread
from typing import Protocol, TypeVar

from local_aws.emr.control_plane import Action, ControlPlane
from local_aws.emr.store import ClusterStore

Answer = TypeVar("Answer")
# a thousand clusters whose time has come together must not hold up a call for a second
_CLUSTERS_A_ROUND = 10
_LEAST_WAIT_SECONDS = 0.002
LOG = logging.getLogger("local_aws")


class Machinery(Protocol):
    """What starts and stops processes."""

    def perform(self, action: Action, service: EmrService) -> None:
        """Begin the action, without waiting for anything: all callers wait meanwhile."""


class EmrService:
    """:param clock: tells the time now, in UTC"""

    def __init__(
        self,
        plane: ControlPlane,
        store: ClusterStore,
        machinery: Machinery,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._plane = plane
        self._now = clock
        self._store = store
        self._machinery = machinery
        self._changed = Condition()
        self._closed = False
        self._thread = Thread(target=self._keep_time, name="emr-time", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, message: str) -> None:
        """No cluster outlives this process: those that are live are lost, and saved as lost."""
        with self._changed:
            self._closed = True
            self._plane.lose_all(message, self._now())
            self._save()
            self._changed.notify_all()

    def look(self, question: Callable[[ControlPlane, datetime], Answer]) -> Answer:
        with self._changed:
            return question(self._plane, self._now())

    def change(self, alter: Callable[[ControlPlane, datetime], Answer]) -> Answer:
        with self._changed:
            answer = alter(self._plane, self._now())
            self._advance()
            self._changed.notify_all()
        return answer

    def _keep_time(self) -> None:
        while True:
            with self._changed:
                due = self._plane.next_due()
                seconds = None if due is None else max(0.0, (due - self._now()).total_seconds())
                if not self._closed:
                    # also where it is due already: callers get their turn between two rounds
                    self._changed.wait(None if seconds is None else max(_LEAST_WAIT_SECONDS, seconds))
                if self._closed:
                    return
                self._advance(at_most=_CLUSTERS_A_ROUND)

    def _advance(self, at_most: int | None = None) -> None:
        if self._closed:
            return
        actions = self._plane.advance(self._now(), at_most=at_most)
        self._save()
        for action in actions:
            self._machinery.perform(action, self)

    def _save(self) -> None:
        changed = self._plane.take_changed()
        self._store.save(changed)
        for cluster in changed:
            LOG.info("%s %s %s", cluster.cluster_id, cluster.name, cluster.state.value)
