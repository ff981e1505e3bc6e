"""The laptop's client of Airflow's REST API: paths and JSON in, JSON out, with the stack's own login."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from trainyard.laptop.credentials import USER

Json = dict[str, Any]

# a proxy set for the world would get these calls too
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class AirflowApiError(RuntimeError):
    """Airflow refused a request; ``status`` is HTTP's, 0 where nothing answered."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class AirflowApi:
    """:param url: the api-server's, without a path"""

    url: str
    password: str
    _token: str = ""

    def health(self) -> Json:
        """The state of each part by its name: status and the time of its last heartbeat."""
        return self._send("GET", "/api/v2/monitor/health", token="")

    def get(self, *path: str, **query: str | int) -> Json:
        """GET ``/api/v2/`` and the path; each segment is quoted."""
        return self._call("GET", path, query=query)

    def post(self, *path: str, body: Json) -> Json:
        return self._call("POST", path, body=body)

    def patch(self, *path: str, body: Json) -> Json:
        return self._call("PATCH", path, body=body)

    def _call(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        query: dict[str, str | int] | None = None,
        body: Json | None = None,
    ) -> Json:
        if not self._token:
            login = {"username": USER, "password": self.password}
            self._token = self._send("POST", "/auth/token", token="", body=login)["access_token"]
        place = "/api/v2/" + "/".join(quote(segment, safe="") for segment in path)
        return self._send(
            method, place + (f"?{urlencode(query)}" if query else ""), token=self._token, body=body
        )

    def _send(self, method: str, place: str, *, token: str, body: Json | None = None) -> Json:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + place, data=data, headers=headers, method=method)  # noqa: S310
        try:
            with _OPENER.open(request, timeout=30) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:2000]
            raise AirflowApiError(f"{method} {place}: {error.code} {said}", status=error.code) from None
        except (OSError, ValueError) as error:
            raise AirflowApiError(f"{method} {place}: {error}", status=0) from error


def parse_time(text: str) -> datetime:
    """A time as the API writes it, with a Z, which Python reads by itself from 3.11 on."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def wait_for_answer(api: AirflowApi, *, seconds: float) -> None:
    """Wait until the api-server answers; raises AirflowApiError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            api.health()
        except AirflowApiError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return
