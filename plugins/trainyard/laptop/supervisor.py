"""The owner of the stack's processes: it starts them, notices when one of them ends, and sees them all end.

Ending the parts is the guard's work in every case, so that the way out after ``kill -9`` of the supervisor is
the way out of every day.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from trainyard.laptop.guard import Guard, guard_command, start_guard
from trainyard.laptop.lock import StackLock
from trainyard.laptop.logs import last_lines, open_log
from trainyard.laptop.processes import (
    GUARD,
    PART_VARIABLE,
    PATIENCE_SECONDS,
    STACK_VARIABLE,
    end_stack,
    postmaster,
)
from trainyard.laptop.settings import Settings, check_ports
from trainyard.laptop.stopping import StackStoppedError, stopping

_GUARD_LOOKS = 900
_LOOK_SECONDS = 0.1


@dataclass
class Supervisor:
    """The running stack of one state folder; made by :func:`supervise`.

    :param stack: the marker that each of its processes carries
    :param environment: of every process, without the marker
    """

    settings: Settings
    stack: str
    environment: Mapping[str, str]
    parts: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    patience_seconds: float = PATIENCE_SECONDS
    watches_postgres: bool = False

    def marked(self, part: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a process of ``part``."""
        return {**self.environment, **(extra or {}), STACK_VARIABLE: self.stack, PART_VARIABLE: part}

    def start(self, part: str, command: Sequence[str], extra: Mapping[str, str] | None = None) -> None:
        """Start a part whose end is the stack's end."""
        self.parts[part] = self._popen(part, command, extra)

    def run(self, part: str, command: Sequence[str], extra: Mapping[str, str] | None = None) -> None:
        """Run a command to its end; raises StackStoppedError where it fails."""
        code = self._popen(part, command, extra).wait()
        if code:
            raise StackStoppedError(self._how_it_ended(part, code))

    def log(self, part: str) -> Path:
        """Where a part's output goes."""
        return self.settings.logs / f"{part}.log"

    def ended_part(self) -> str | None:
        """What to say of a part that ended by itself, if one did."""
        for part, process in list(self.parts.items()):
            code = process.poll()
            if code is not None:
                return self._how_it_ended(part, code)
        if self.watches_postgres and postmaster(self.settings.postgres) is None:
            return f"PostgreSQL ended by itself; its log is {self.settings.postgres / 'server.log'}"
        return None

    def _popen(
        self, part: str, command: Sequence[str], extra: Mapping[str, str] | None
    ) -> subprocess.Popen[bytes]:
        with open_log(self.log(part)) as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.marked(part, extra),
                cwd=self.settings.state,
                # the terminal's Ctrl-C is for the supervisor alone, which has the parts ended in order
                start_new_session=True,
            )

    def _how_it_ended(self, part: str, code: int) -> str:
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        lines = [f"    {line}" for line in last_lines(self.log(part))]
        return "\n".join([f"{part} {how}; its log is {self.log(part)}", *lines])


@contextmanager
def supervise(
    settings: Settings,
    *,
    stack: str,
    environment: Mapping[str, str],
    command: str,
    tell: Callable[[str], None],
    patience_seconds: float = PATIENCE_SECONDS,
) -> Iterator[Supervisor]:
    """Own the stack of ``settings.state`` inside the ``with``; when that is left, nothing of the stack is.

    :param command: how a person would name this start, for one who tries a second at the same time
    :param tell: gets a line when an earlier start's leftovers had to be ended
    :param patience_seconds: how long a process may take to end before it is killed
    :raises StackRunningError: another stack of this state folder is running
    :raises SettingsError: a port is taken
    :raises StackStoppedError: inside the ``with``, at any time, in the main thread
    """
    lock = StackLock(settings.run)
    try:
        lock.acquire(command=command)
        supervisor = Supervisor(
            settings=settings, stack=stack, environment=environment, patience_seconds=patience_seconds
        )
        left = sweep(supervisor)
        if left:
            tell(f"ended {left} processes that an earlier start had left running")
        check_ports(settings.ports)
        guard = start_guard(
            guard_command(stack=stack, state=settings.state, patience_seconds=patience_seconds),
            log=supervisor.log(GUARD),
            environment=supervisor.marked(GUARD),
            keep_open=lock.descriptor,
        )
        with stopping(lambda: _look(supervisor, guard)) as disarm:
            try:
                yield supervisor
            finally:
                disarm()
                _end(supervisor, guard)
    finally:
        lock.release()


def sweep(supervisor: Supervisor) -> int:
    """End the stack's processes from here; returns how many there were."""
    with open_log(supervisor.log("sweep")) as log:

        def tell(line: str) -> None:
            log.write(f"{line}\n".encode())

        return end_stack(
            supervisor.stack,
            supervisor.settings.postgres,
            tell=tell,
            patience_seconds=supervisor.patience_seconds,
        )


def _look(supervisor: Supervisor, guard: Guard) -> str | None:
    return "the stack's guard process is gone" if guard.is_gone() else supervisor.ended_part()


def _end(supervisor: Supervisor, guard: Guard) -> None:
    guard.let_go()
    for _ in range(_GUARD_LOOKS):
        # an ended child stays, as a zombie, until its exit code is fetched
        for process in supervisor.parts.values():
            process.poll()
        if guard.is_done(within_seconds=_LOOK_SECONDS):
            break
    if not guard.ended_all:
        sweep(supervisor)
    for process in supervisor.parts.values():
        process.poll()
