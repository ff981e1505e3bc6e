"""The log files of the stack's parts: one for each, and the one of the start before."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO


def open_log(path: Path) -> BinaryIO:
    """An empty log file; the one of the start before is kept beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.replace(path.with_suffix(".previous.log"))
    return path.open("wb")


def last_lines(path: Path, count: int = 8) -> list[str]:
    """The end of a log that has something to say."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [line for line in lines if line.strip()][-count:]
