"""One stack at a time for each state folder: a file lock that the supervisor and its guard hold together.

It falls free only when both are gone, so that a start right after a crash waits until the guard has finished.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil


class StackRunningError(RuntimeError):
    """Another stack of the same state folder is running."""


@dataclass(frozen=True)
class Holder:
    """Who holds the lock: the supervisor's process and what it was asked to do."""

    pid: int
    started: float
    command: str

    def process(self) -> psutil.Process | None:
        """The supervisor's process, if it still lives."""
        try:
            process = psutil.Process(self.pid)
            alive = process.create_time() == self.started and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return None
        return process if alive else None


class StackLock:
    """The lock of one state folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "lock"
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)

    def acquire(self, *, command: str, wait_seconds: float = 60.0) -> None:
        """Take the lock, waiting for the guard of a stack that ended; raises StackRunningError."""
        deadline = time.monotonic() + wait_seconds
        while not self._try():
            holder = self.holder()
            if holder is not None and holder.process() is not None:
                raise StackRunningError(
                    f"`{holder.command}` of this checkout is running already (process {holder.pid}); "
                    "stop it with: make down"
                )
            if time.monotonic() > deadline:
                raise StackRunningError(
                    f"the guard of an earlier start still ends its processes; {self.path.parent.parent}/logs/guard.log "
                    "says which"
                )
            time.sleep(0.1)
        own = psutil.Process()
        text = json.dumps({"pid": own.pid, "started": own.create_time(), "command": command})
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, text.encode(), 0)

    def holder(self) -> Holder | None:
        """Who took the lock last."""
        try:
            return Holder(**json.loads(os.pread(self.descriptor, 4096, 0)))
        except (ValueError, TypeError):
            return None

    def is_free(self) -> bool:
        """Whether nobody held the lock a moment ago."""
        if not self._try():
            return False
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        return True

    def release(self) -> None:
        os.close(self.descriptor)

    def _try(self) -> bool:
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
