"""Finding and ending the processes of one stack, and of no other.

Every process that the stack starts inherits two variables: whose it is (``TRAINYARD_STACK``) and of which part
(``TRAINYARD_PART``). A process belongs to the stack if its environment says so or one of its forebears' does, however
it was orphaned and whatever session it moved to. PostgreSQL is found by the pid file in its data folder.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

STACK_VARIABLE = "TRAINYARD_STACK"
PART_VARIABLE = "TRAINYARD_PART"
GUARD = "guard"
POSTGRES = "postgres"

# Tasks and triggers end first, while what they talk to is still there to be told
_FIRST_TO_END = frozenset({"scheduler", "triggerer", "dag-processor"})
# these only answer or look; what they wait for on their way out is nothing to wait for
_STATELESS = frozenset({"api-server", "log-server", "dag-processor"})
_STATELESS_SECONDS = 2.0
PATIENCE_SECONDS = 6.0
_POLL_SECONDS = 0.1
_KILL_SECONDS = 10.0


def marker(stack_id: str, state: Path) -> str:
    """What the stack's processes carry: another checkout differs by id, a copy of this one by its place."""
    place = hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:12]
    return f"{stack_id}-{place}"


@dataclass(frozen=True)
class Member:
    """A living process of the stack, and the part it belongs to as it is seen now."""

    process: psutil.Process
    part: str = field(compare=False)


def members(stack: str) -> list[Member]:
    """The stack's living processes, but for the one that asks and those it descends from."""
    parents: dict[int, int] = {}
    found: dict[int, psutil.Process] = {}
    parts: dict[int, str] = {}
    for process in psutil.process_iter():
        try:
            parents[process.pid] = process.ppid()
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            found[process.pid] = process
            environment = process.environ()
        except (psutil.Error, OSError):
            # gone meanwhile, or another user's: the stack's own can be read
            continue
        if environment.get(STACK_VARIABLE) == stack:
            parts[process.pid] = environment.get(PART_VARIABLE, "")
    spared = set(_line_of(os.getpid(), parents))
    return [
        Member(process=process, part=part)
        for pid, process in found.items()
        if pid not in spared and (part := _part_of(pid, parents, parts)) is not None
    ]


def _line_of(pid: int, parents: dict[int, int]) -> Iterable[int]:
    seen: set[int] = set()
    while pid and pid not in seen:
        yield pid
        seen.add(pid)
        pid = parents.get(pid, 0)


def _part_of(pid: int, parents: dict[int, int], parts: dict[int, str]) -> str | None:
    return next((parts[forebear] for forebear in _line_of(pid, parents) if forebear in parts), None)


def end_stack(
    stack: str, postgres: Path, *, tell: Callable[[str], None], patience_seconds: float = PATIENCE_SECONDS
) -> int:
    """End every process of the stack, PostgreSQL last, and return how many there were.

    :param postgres: PostgreSQL's data folder
    :param tell: gets one line for each process that had to be ended
    :param patience_seconds: between SIGTERM and SIGKILL, for each of the three waves
    """
    ended = _end(stack, lambda part: part in _FIRST_TO_END, tell=tell, patience_seconds=patience_seconds)
    ended += _end(stack, lambda part: part != POSTGRES, tell=tell, patience_seconds=patience_seconds)
    ended += _end_postgres(postgres, tell=tell, patience_seconds=patience_seconds)
    ended += _end(stack, lambda _: True, tell=tell, patience_seconds=patience_seconds)
    # one that was between fork and exec looked like its parent
    time.sleep(_POLL_SECONDS)
    return ended + _end(stack, lambda _: True, tell=tell, patience_seconds=patience_seconds)


def _end(
    stack: str, chosen: Callable[[str], bool], *, tell: Callable[[str], None], patience_seconds: float
) -> int:
    asked: dict[Member, float] = {}
    give_up_at = time.monotonic() + patience_seconds + _KILL_SECONDS
    # what one of them starts while it ends is found by the next look
    while found := _left(stack, chosen, asked):
        now = time.monotonic()
        if now >= give_up_at:
            tell(f"could not be ended: {', '.join(str(member.process.pid) for member in found)}")
            break
        for member in found:
            patience = (
                min(patience_seconds, _STATELESS_SECONDS) if member.part in _STATELESS else patience_seconds
            )
            if member not in asked:
                asked[member] = now
                number = signal.SIGTERM
            elif now >= asked[member] + patience:
                number = signal.SIGKILL
            else:
                continue
            tell(f"{number.name} to {member.part or '?'} {member.process.pid}")
            _send(member.process, number)
        time.sleep(_POLL_SECONDS)
    return len(asked)


def _left(stack: str, chosen: Callable[[str], bool], asked: Iterable[Member]) -> list[Member]:
    """The chosen that live, and those asked to end that do: one without the marker is known by its parent only."""
    found = [member for member in members(stack) if chosen(member.part)]
    return found + [member for member in asked if member not in found and _lives(member.process)]


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        # psutil looks at the start time first, so that a pid given anew to another program is left alone
        process.send_signal(number)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return


def postmaster(data_dir: Path) -> psutil.Process | None:
    """The PostgreSQL server that runs on ``data_dir``, if one does."""
    try:
        pid = int((data_dir / "postmaster.pid").read_text().splitlines()[0])
        process = psutil.Process(pid)
        # after a crash the pid may be another program's
        own = process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == data_dir.resolve()
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    return process if own else None


def _end_postgres(data_dir: Path, *, tell: Callable[[str], None], patience_seconds: float) -> int:
    server = postmaster(data_dir)
    if server is None:
        return 0
    # fast: roll back and shut down; immediate: leave the rest to recovery
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        tell(f"{number.name} to PostgreSQL {server.pid}")
        _send(server, number)
        if _is_gone(server, within_seconds=patience_seconds):
            return 1
    tell(f"could not be ended: PostgreSQL {server.pid}")
    return 1


def _is_gone(process: psutil.Process, *, within_seconds: float) -> bool:
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        if not _lives(process):
            return True
        time.sleep(_POLL_SECONDS)
    return False


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
