"""Gives every object a file of its own, between S3's clients and the emulator that keeps objects as files.

In S3, `a`, `a/` and `a/b` are three objects. As files they cannot lie side by side, and the emulator's own files beside
an object's (`a.meta.json`, `a.tmp`) are names that an object may have as well. So each key gets one space at its end on
the way in, and loses it on the way out: `a␣`, `a/␣`, `a/b␣`, `a.tmp␣`. A space sorts before every other printable
character, so lists keep S3's order, and prefixes, delimiters and pages mean what they meant.

Only names pass through here: the bytes of objects are never touched.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from local_aws.s3 import AsgiApp, Receive, Scope, Send

_MARK = " "
_MARKED_PARAMETERS = frozenset({"marker", "start-after", "key-marker"})
# the end of a name in an answer, plain or as a URL writes it
_NAME_END = re.compile(
    rb"(?: |%20|\+)(</(?:Key|Marker|NextMarker|KeyMarker|NextKeyMarker|StartAfter|Resource)>)"
)
_KEY_END = re.compile(rb"(</(?:\w+:)?Key>)")
# no signature is checked here, and these would no longer fit the name
_SIGNING = re.compile(
    r"x-amz-(?:algorithm|credential|date|expires|security-token|signature|signedheaders)", re.I
)
_SCOPE = re.compile(rb"(Credential=[^/]+/[^/]+/[^/]+/)[^/]+/")
_UNSIGNED = (
    b"AWS4-HMAC-SHA256 Credential=local/20000101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
)
# where the emulator has its API Gateway, its Elastic Container Registry and its S3 Control
_RESERVED_BUCKETS = frozenset({"restapis", "v2", "v20180820"})
_OWN_HOST = re.compile(r"(?:(?P<bucket>(?!s3\.)[a-z0-9][a-z0-9.-]+?)\.)?(?:s3\.)?localhost(?::\d+)?")


class NamesAsFiles:
    def __init__(self, s3: AsgiApp) -> None:
        self._s3 = s3

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, headers = str(scope["path"]), list(scope["headers"])
        _, _, key = path.lstrip("/").partition("/")
        if _is_form(scope):
            # the name lies within the form, where no mark would reach it
            await _refuse(send)
            return
        if not key and _is_batch_delete(scope):
            body = _KEY_END.sub(rb" \1", await _whole(receive))
            receive = _once(body)
            headers = _replaced(headers, b"content-length", str(len(body)).encode())
        renamed = dict(scope) | {
            "path": path + _MARK if key else path,
            "query_string": _marked_query(scope["query_string"]),
            "headers": [
                (name, _marked_source(value) if name == b"x-amz-copy-source" else value)
                for name, value in headers
            ],
        }
        await self._s3(renamed, receive, _NamesRestored(send, is_list=not key or _is_upload_call(scope)))


class _NamesRestored:
    """Passes an answer on; one that lists or names keys loses the marks in it."""

    def __init__(self, send: Send, *, is_list: bool) -> None:
        self._send = send
        self._is_list = is_list
        self._start: MutableMapping[str, Any] | None = None
        self._body = b""

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and self._names_keys(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_restored(self._start)

    def _names_keys(self, start: MutableMapping[str, Any]) -> bool:
        is_xml = any(
            name.lower() == b"content-type" and b"xml" in value.lower() for name, value in start["headers"]
        )
        return is_xml and (self._is_list or start["status"] >= 400)

    async def _send_restored(self, start: MutableMapping[str, Any]) -> None:
        body = _NAME_END.sub(rb"\1", self._body)
        length = str(len(body)).encode()
        await self._send({**start, "headers": _replaced(list(start["headers"]), b"content-length", length)})
        await self._send({"type": "http.response.body", "body": body})


def sweep_unfinished(data_folder: Path) -> None:
    """Remove what a killed process left half written, which the emulator would take for objects.

    It writes `<file>.tmp` first; an object's own file, even that of `a.tmp`, ends in the mark.
    """
    for path in data_folder.rglob(f"*{_MARK}*.tmp"):
        is_draft = path.name.endswith((f"{_MARK}.tmp", f"{_MARK}.meta.json.tmp"))
        if is_draft and path.is_file():
            path.unlink()


def path_styled(scope: Scope) -> Scope:
    """The same request as `/bucket/key`, also where the client wrote the bucket into the host's name.

    A bucket's own path ends in a slash: `/health` and `/logout` are pages of the emulator, `/health/` is a bucket.
    """
    path, headers = str(scope["path"]), list(scope["headers"])
    host = next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
    found = _OWN_HOST.fullmatch(host)
    if found is not None and found["bucket"] is not None:
        path, headers = f"/{found['bucket']}{path}", _replaced(headers, b"host", b"localhost")
    bucket, _, key = path.lstrip("/").partition("/")
    path = f"/{bucket}/{key}" if bucket else path
    return dict(scope) | {"path": path, "headers": _signed_for_s3(headers)}


def _signed_for_s3(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The emulator takes the service from the signature, or guesses it by the path where there is none."""
    given = next((value for name, value in headers if name == b"authorization"), b"")
    signed, found = _SCOPE.subn(rb"\1s3/", given)
    others = [(name, value) for name, value in headers if name not in (b"authorization", b"x-amz-target")]
    return [*others, (b"authorization", signed if found else _UNSIGNED)]


def is_bucket(path: str) -> bool:
    """Whether S3 answers at the path: the emulator has pages and other services of its own at some."""
    bucket = path.lstrip("/").partition("/")[0]
    return not bucket.startswith(("_", "iceberg")) and bucket not in _RESERVED_BUCKETS


def _is_batch_delete(scope: Scope) -> bool:
    return scope["method"] == "POST" and "delete" in _parameters(scope["query_string"])


def _is_form(scope: Scope) -> bool:
    """A page's form upload (POST Object)."""
    return scope["method"] == "POST" and any(
        name == b"content-type" and value.startswith(b"multipart/form-data")
        for name, value in scope["headers"]
    )


async def _refuse(send: Send) -> None:
    body = b"<Error><Code>NotImplemented</Code><Message>local_aws takes no form uploads</Message></Error>"
    headers = [(b"content-type", b"application/xml"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 501, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _is_upload_call(scope: Scope) -> bool:
    """The calls of a multi-part upload answer with the object's key."""
    return bool({"uploads", "uploadId"} & _parameters(scope["query_string"]).keys())


def _marked_query(query: bytes) -> bytes:
    pairs = [
        (name, value + _MARK if name in _MARKED_PARAMETERS and value else value)
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        if not _SIGNING.fullmatch(name)
    ]
    return urlencode(pairs).encode()


def _marked_source(source: bytes) -> bytes:
    """`bucket/key`, URL-encoded, perhaps with a version."""
    key, question, version = source.partition(b"?")
    return key + b"%20" + question + version


def _parameters(query: bytes) -> dict[str, str]:
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))


def _replaced(headers: list[tuple[bytes, bytes]], name: bytes, value: bytes) -> list[tuple[bytes, bytes]]:
    return [(known, value if known.lower() == name else given) for known, given in headers]


async def _whole(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _once(body: bytes) -> Receive:
    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
