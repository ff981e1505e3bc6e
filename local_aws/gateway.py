"""The one port: EMR's requests to our API, our own paths to our control, all else to S3, nothing from a web page.

Steps run commands on this machine, so a page in a browser must not be able to reach this port: requests with
an `Origin`, requests that a browser makes for a page, and requests whose `Host` is not one of ours, are refused.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import uuid
from collections.abc import Mapping, MutableMapping
from datetime import datetime
from typing import Any

from local_aws.connection import BREAK
from local_aws.control import PREFIX, Control
from local_aws.emr.front import EmrFront
from local_aws.s3 import AsgiApp, Receive, Scope, Send
from local_aws.s3_names import is_bucket, path_styled

_EMR_TARGET = "ElasticMapReduce."
_JSON = "application/x-amz-json-1.1"
_REGION = re.compile(r"Credential=[^/]+/[^/]+/([^/]+)/")


class Gateway:
    def __init__(self, *, emr: EmrFront, s3: AsgiApp, host: str, control: Control) -> None:
        self._emr = emr
        self._s3 = s3
        self._host = host
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        refusal = self._refusal(headers)
        if refusal:
            await _answer(send, 403, {"message": refusal})
        elif scope["path"].startswith(PREFIX):
            query = scope["query_string"].decode("latin-1")
            body = await _body(receive)
            await _answer(send, *self._control.answer(scope["method"], scope["path"], query, body))
        elif headers.get("x-amz-target", "").startswith(_EMR_TARGET):
            await self._call_emr(scope, headers, await _body(receive), send)
        else:
            await self._call_s3(path_styled(scope), receive, send)

    async def _call_s3(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_bucket(scope["path"]):
            await self._s3(scope, _replay(await _body(receive), receive), send)
        else:
            # the emulator has its own administration there, which could wipe S3
            await _answer(send, 404, {"message": f"local_aws serves nothing at {scope['path']}"})

    async def _call_emr(self, scope: Scope, headers: Mapping[str, str], body: bytes, send: Send) -> None:
        region = _REGION.search(headers.get("authorization", ""))
        operation = headers["x-amz-target"].removeprefix(_EMR_TARGET)
        reply = self._emr.call(operation, body, region=region[1] if region else "us-east-1")
        if reply.delay_seconds:
            await asyncio.sleep(reply.delay_seconds)
        if reply.dropped:
            scope[BREAK]()
        else:
            await _answer(send, reply.status, reply.body)

    def _refusal(self, headers: Mapping[str, str]) -> str | None:
        if "origin" in headers:
            return "local_aws answers no web pages: the request has an Origin header"
        # only browsers send it; of a page's plain image or script they send no Origin
        if headers.get("sec-fetch-site", "none") != "none":
            return f"local_aws answers no web pages: Sec-Fetch-Site is {headers['sec-fetch-site']!r}"
        host = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
        if _is_loopback(self._host) and not (_is_loopback(host) or host == self._host):
            return f"local_aws answers only requests to this machine: the request's Host is {host!r}"
        return None


def _in_json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} has no place in an answer")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body in one piece: ministack joins pieces one by one, which takes quadratic time."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def whole() -> MutableMapping[str, Any]:
        return pending.pop() if pending else await receive()

    return whole


async def _answer(send: Send, status: int, body: Mapping[str, Any]) -> None:
    payload = json.dumps(body, default=_in_json).encode()
    headers = [
        (b"content-type", _JSON.encode()),
        (b"content-length", str(len(payload)).encode()),
        (b"x-amzn-requestid", str(uuid.uuid4()).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": payload})
