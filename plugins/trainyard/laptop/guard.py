"""The stack's guard: a process in a session of its own that outlives the supervisor and ends all after it.

Its standard input is a pipe whose other end only the supervisor holds. When that end closes, by the
supervisor's leave or by its death, however it died, the guard ends the stack and then itself. Run as
``python -m trainyard.laptop.guard MARKER STATE PATIENCE``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from trainyard.laptop.logs import open_log
from trainyard.laptop.processes import end_stack

_READY = b"ready\n"


class GuardError(RuntimeError):
    """The guard process did not start."""


@dataclass
class Guard:
    """The supervisor's side of the guard.

    :param lifeline: the write end of the pipe; no other process may have it
    """

    process: subprocess.Popen[bytes]
    lifeline: int

    def is_gone(self) -> bool:
        """Whether the guard process ended, which it must not do before the supervisor."""
        return self.process.poll() is not None

    def let_go(self) -> None:
        """Have the guard end the stack."""
        with suppress(OSError):
            os.close(self.lifeline)

    def is_done(self, *, within_seconds: float) -> bool:
        """Whether the guard has ended the stack and itself, waiting for it a little."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=within_seconds)
        return self.process.poll() is not None

    @property
    def ended_all(self) -> bool:
        return self.process.returncode == 0


def start_guard(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str], keep_open: int
) -> Guard:
    """Start the guard and wait until it is on its post; raises GuardError.

    :param command: as :func:`guard_command` gives it
    :param keep_open: a file descriptor that the guard holds as long as it lives: the stack's lock
    """
    read_end, write_end = os.pipe()
    answer, answer_write_end = os.pipe()
    with open_log(log) as file:
        process = subprocess.Popen(
            command,
            stdin=read_end,
            stdout=answer_write_end,
            stderr=file,
            env=environment,
            start_new_session=True,
            pass_fds=[keep_open],
        )
    os.close(read_end)
    os.close(answer_write_end)
    with os.fdopen(answer, "rb") as output:
        if output.readline() != _READY:
            os.close(write_end)
            raise GuardError(f"the guard process did not start; its log is {log}")
    return Guard(process=process, lifeline=write_end)


def guard_command(*, stack: str, state: Path, patience_seconds: float) -> list[str]:
    """The command line of the guard of one stack."""
    return [sys.executable, "-m", "trainyard.laptop.guard", stack, str(state), str(patience_seconds)]


def main(stack: str, state: Path, patience_seconds: float) -> int:
    """Wait for the supervisor's end, then end the stack; the exit code is 0 once nothing is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.write(1, _READY)
    while os.read(0, 4096):
        pass
    end_stack(stack, state / "postgres", tell=_tell, patience_seconds=patience_seconds)
    return 0


def _tell(line: str) -> None:
    moment = datetime.now(tz=timezone.utc).isoformat(timespec="milliseconds")
    sys.stderr.write(f"{moment} {line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])))
