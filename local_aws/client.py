"""Faults and the journal of a running local_aws, from Python: a few calls of its control path, nothing else.

aws = LocalAws("http://127.0.0.1:4566")
with aws.faults(Throttle(calls=("RunJobFlow",), times=3)):
    …
assert len(aws.calls(operation="RunJobFlow")) == 4
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from local_aws.control import PREFIX
from local_aws.faults.kinds import Fault

_TIMEOUT_SECONDS = 30


class ControlError(Exception):
    """What local_aws answered when it refused."""


class LocalAws:
    """:param url: the endpoint, as for any AWS client, such as http://127.0.0.1:4566"""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        # a proxy of the environment has no business between this process and its neighbour
        self._open = build_opener(ProxyHandler({})).open

    def add_faults(self, *faults: Fault) -> list[str]:
        """Set faults; the ids under which they can be removed. Raises ControlError."""
        body = [fault.model_dump(mode="json", exclude_none=True) for fault in faults]
        ids: list[str] = self._ask("POST", "faults", body=body)["ids"]
        return ids

    def remove_fault(self, fault_id: str) -> None:
        self._ask("DELETE", f"faults/{fault_id}")

    def clear_faults(self) -> None:
        self._ask("DELETE", "faults")

    def show_faults(self) -> list[dict[str, Any]]:
        """Every fault set, with its `id`, its `hits` and whether it is still `in_force`."""
        found: list[dict[str, Any]] = self._ask("GET", "faults")["faults"]
        return found

    @contextmanager
    def faults(self, *faults: Fault) -> Iterator[list[str]]:
        """Faults for as long as the block lasts."""
        ids = self.add_faults(*faults)
        try:
            yield ids
        finally:
            for fault_id in ids:
                # the block may have cleared them itself
                with suppress(ControlError):
                    self.remove_fault(fault_id)

    def calls(self, *, operation: str = "*", cluster: str = "*", after: int = 0) -> list[dict[str, Any]]:
        """The journal of calls, oldest first: see `local_aws.journal.Call` for what each says.

        :param operation: pattern of the operation's name
        :param cluster: a cluster's id, or a pattern of its name
        :param after: only calls with a higher `number`
        """
        query = {"operation": operation, "cluster": cluster, "after": str(after)}
        found: list[dict[str, Any]] = self._ask("GET", "journal/calls", query=query)["calls"]
        return found

    def lives(self, *, cluster: str = "*") -> list[dict[str, Any]]:
        """Every cluster's life, oldest first: the states it and its steps went through, with times and reasons."""
        found: list[dict[str, Any]] = self._ask("GET", "journal/clusters", query={"cluster": cluster})[
            "clusters"
        ]
        return found

    def clear_journal(self) -> None:
        self._ask("DELETE", "journal")

    def _ask(
        self, method: str, place: str, *, query: Mapping[str, str] | None = None, body: Any = None
    ) -> dict[str, Any]:
        url = f"{self._url}{PREFIX}{place}{'?' + urlencode(query) if query else ''}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(url, data=data, method=method, headers={"content-type": "application/json"})  # noqa: S310
        try:
            with self._open(request, timeout=_TIMEOUT_SECONDS) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except HTTPError as refused:
            with refused:
                raise ControlError(json.load(refused)["message"]) from refused
