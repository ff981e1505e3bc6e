"""A connection that its application may break: what a caller sees when a reply is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from local_aws.s3 import AsgiApp, Receive, Scope, Send

BREAK = "local_aws.break_connection"


class BreakableConnection(AutoHTTPProtocol):  # type: ignore[misc,valid-type]  # whichever parser is installed
    """uvicorn's, with a function in each request's scope that closes the connection without a word."""

    app: AsgiApp

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app = _with(self.app, transport.abort)


def _with(app: AsgiApp, break_connection: Callable[[], None]) -> AsgiApp:
    async def breakable(scope: Scope, receive: Receive, send: Send) -> None:
        scope[BREAK] = break_connection
        await app(scope, receive, send)

    return breakable
