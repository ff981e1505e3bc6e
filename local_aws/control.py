"""The control path, `/_local_aws/…`: faults in and out, the journal, health. Not part of AWS's API.

In: method, path, query and body. Out: an HTTP status and an object that becomes JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from local_aws.emr.control_plane import ControlPlane
from local_aws.emr.service import EmrService
from local_aws.faults.book import NoSuchFaultError
from local_aws.faults.kinds import Fault
from local_aws.faults.reading import FaultTextError, read_faults
from local_aws.journal import Journal

PREFIX = "/_local_aws/"
Answer = tuple[int, Mapping[str, Any]]


class QueryError(Exception):
    """A query parameter that a path does not take, or not with that value."""


class Control:
    def __init__(self, service: EmrService, journal: Journal) -> None:
        self._service = service
        self._journal = journal
        self._routes: Mapping[tuple[str, str], Callable[[Mapping[str, str], bytes], Mapping[str, Any]]] = {
            ("GET", "health"): self._health,
            ("GET", "faults"): self._show_faults,
            ("POST", "faults"): self._add_faults,
            ("DELETE", "faults"): self._clear_faults,
            ("GET", "journal/calls"): self._calls,
            ("GET", "journal/clusters"): self._clusters,
            ("DELETE", "journal"): self._clear_journal,
        }

    def answer(self, method: str, path: str, query: str, body: bytes) -> Answer:
        place = path.removeprefix(PREFIX)
        try:
            if method == "DELETE" and place.startswith("faults/"):
                return 200, self._remove_fault(place.removeprefix("faults/"))
            route = self._routes.get((method, place))
            if route is None:
                served = ", ".join(f"{verb} {PREFIX}{known}" for verb, known in self._routes)
                return 404, {"message": f"local_aws serves no {method} {path}; it serves {served}"}
            return 200, route(dict(parse_qsl(query)), body)
        except (FaultTextError, QueryError) as problem:
            return 400, {"message": str(problem)}
        except NoSuchFaultError as problem:
            return 404, {"message": str(problem)}

    def add_faults(self, faults: tuple[Fault, ...]) -> list[str]:
        def add(plane: ControlPlane, now: datetime) -> list[str]:
            ids = plane.faults.add(faults, now)
            plane.faults_changed()
            return [str(fault_id) for fault_id in ids]

        return self._service.change(add)

    def _health(self, query: Mapping[str, str], _: bytes) -> Mapping[str, Any]:
        _only(query)
        live = self._service.look(lambda plane, _: sum(not c.state.is_over for c in plane.clusters))
        return {"status": "ok", "live_clusters": live}

    def _show_faults(self, query: Mapping[str, str], _: bytes) -> Mapping[str, Any]:
        _only(query)
        return {"faults": self._service.look(lambda plane, now: plane.faults.show(now))}

    def _add_faults(self, query: Mapping[str, str], body: bytes) -> Mapping[str, Any]:
        _only(query)
        return {"ids": self.add_faults(read_faults(body.decode("utf-8", "replace")))}

    def _remove_fault(self, fault_id: str) -> Mapping[str, Any]:
        def remove(plane: ControlPlane, _: datetime) -> None:
            plane.faults.remove(fault_id)
            plane.faults_changed()

        self._service.change(remove)
        return {}

    def _clear_faults(self, query: Mapping[str, str], _: bytes) -> Mapping[str, Any]:
        _only(query)

        def clear(plane: ControlPlane, _: datetime) -> None:
            plane.faults.clear()
            plane.faults_changed()

        self._service.change(clear)
        return {}

    def _calls(self, query: Mapping[str, str], _: bytes) -> Mapping[str, Any]:
        _only(query, "operation", "cluster", "after")
        after = query.get("after", "0")
        if not after.isdecimal():
            raise QueryError(f"after={after!r} is no number of a call: 0 or more is accepted")
        found = self._journal.calls(
            operation=query.get("operation", "*"), cluster=query.get("cluster", "*"), after=int(after)
        )
        return {"calls": [asdict(call) for call in found]}

    def _clusters(self, query: Mapping[str, str], _: bytes) -> Mapping[str, Any]:
        _only(query, "cluster")
        return {"clusters": self._journal.clusters(cluster=query.get("cluster", "*"))}

    def _clear_journal(self, query: Mapping[str, str], _: bytes) -> Mapping[str, Any]:
        _only(query)
        self._journal.clear()
        return {}


def _only(query: Mapping[str, str], *names: str) -> None:
    for name in query:
        if name not in names:
            raise QueryError(f"unknown parameter {name!r}; accepted: {', '.join(names) or 'none'}")
