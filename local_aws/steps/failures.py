"""Why a step failed, read from its own output: the message and the log of its FailureDetails."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_MESSAGE_CHARACTERS = 1000
_TRACEBACK = "Traceback (most recent call last):"
# the line in which Python or the JVM says what went wrong
_ERROR = re.compile(
    r"^(?:Exception in thread \"\S+\" |Caused by: )?"
    r"((?:[A-Za-z_][\w$]*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt)\b.*)"
)


class Cause(NamedTuple):
    log: str
    message: str


def find_cause(*, stdout: Sequence[str], stderr: Sequence[str], desks_folder: Path) -> Cause:
    """The last error named; without any, the last line of stderr.

    A Python traceback lies in stdout: spark-submit joins its Python's two streams there. Folders of a desk
    are shown as the buckets that they stand for.
    """
    log, message = "stdout", _last_error(stdout) if _TRACEBACK in stdout else None
    if message is None:
        log, message = "stderr", _last_error(stderr) or (stderr[-1] if stderr else "")
    on_desk = rf"(?:raw:|file:)?/*{re.escape(str(desks_folder))}/\d+/files/"
    return Cause(log, re.sub(on_desk, "s3://", message)[:_MESSAGE_CHARACTERS])


def _last_error(lines: Sequence[str]) -> str | None:
    for position in range(len(lines) - 1, -1, -1):
        found = _ERROR.match(lines[position])
        if found:
            following = lines[position + 1] if position + 1 < len(lines) else ""
            # py4j says what happened in the JVM on the next line
            return f"{found[1]}{following}" if following.startswith(": ") else found[1]
    return None
