"""Which cluster is to be looked at when: at once, since it changed, or at the time at which a wait is over."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from datetime import datetime

from local_aws.emr.values import ClusterId


class Agenda:
    def __init__(self) -> None:
        self._at_once: set[ClusterId] = set()
        self._heap: list[tuple[datetime, ClusterId]] = []
        # the one entry of the heap that counts for a cluster; others are left over
        self._planned: dict[ClusterId, datetime] = {}

    def at_once(self, cluster_ids: Iterable[ClusterId]) -> None:
        self._at_once.update(cluster_ids)

    def plan(self, cluster_id: ClusterId, due: datetime | None) -> None:
        """Look at the cluster then, and not at the time planned before; None: only when it changes."""
        if due is None:
            self._planned.pop(cluster_id, None)
        elif self._planned.get(cluster_id) != due:
            self._planned[cluster_id] = due
            heapq.heappush(self._heap, (due, cluster_id))

    def take_changed(self) -> set[ClusterId]:
        """The clusters to look at at once; they are off that list then."""
        taken, self._at_once = self._at_once, set()
        return taken

    def take_due(self, now: datetime, at_most: int | None) -> set[ClusterId]:
        """The clusters whose time has come, the longest overdue first; they are off the agenda then."""
        taken: set[ClusterId] = set()
        while (due := self.next_due()) is not None and due <= now and len(taken) != at_most:
            _, cluster_id = heapq.heappop(self._heap)
            del self._planned[cluster_id]
            taken.add(cluster_id)
        return taken

    def next_due(self) -> datetime | None:
        while self._heap and self._planned.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
