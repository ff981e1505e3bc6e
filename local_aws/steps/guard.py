"""The parent of a step's command: when local_aws is gone, in whatever way, so is the step.

Run as a script, `guard.py [--no-new-privileges] <watched> <told> <command> …`, in a session of its own. Both
descriptors are pipes whose other ends only local_aws holds. `watched` is never written to, and ends when local_aws
ends; into `told` goes the command's exit code, when it has ended. On Linux the guard stays for as long as anything that
the command started: whatever lost its own parent becomes the guard's child, so that it is known whose it is.
Standard library only, and as little of it as will do: this starts once a step.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

NO_NEW_PRIVILEGES = "--no-new-privileges"
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_POLL_SECONDS = 0.05


def main() -> int:
    arguments = sys.argv[1:]
    if arguments[0] == NO_NEW_PRIVILEGES:
        arguments.pop(0)
        # from here on no program, such as sudo, runs as anybody else
        _prctl("PR_SET_NO_NEW_PRIVS", _PR_SET_NO_NEW_PRIVS)
    watched, told, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    _prctl("PR_SET_CHILD_SUBREAPER", _PR_SET_CHILD_SUBREAPER)
    # it outlives those it guards; a handler, as an ignored signal would be ignored by the command as well
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        child = subprocess.Popen(command)
    except OSError as problem:
        sys.stderr.write(f"{command[0]}: {problem.strerror}\n")
        os.write(told, b"127")
        return 127
    threading.Thread(target=_end_with, args=(watched,), daemon=True).start()
    return _wait_for_all(child.pid, told)


def _wait_for_all(command: int, told: int) -> int:
    code = 0
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            return code
        if pid == command:
            # as a shell says it: 128 and the signal
            code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            os.write(told, str(code).encode())


def _prctl(name: str, number: int) -> None:
    """Sets an attribute of this process (prctl(2)); other systems have no such word."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - only Linux needs it

    if ctypes.CDLL(None, use_errno=True).prctl(number, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({name})")


def _end_with(watched: int) -> None:
    while os.read(watched, 1):
        pass
    while descendants := _descendants():
        for pid in descendants:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _descendants() -> set[int]:
    """Everything below this process, by Linux's /proc; elsewhere nothing."""
    children: dict[int, list[int]] = {}
    # without pathlib, which takes longer to import than all the rest
    for entry in os.listdir("/proc") if sys.platform == "linux" else ():  # noqa: PTH208
        with contextlib.suppress(OSError, ValueError):
            # <pid> (<name, of any characters>) <state> <parent> …
            with open(f"/proc/{int(entry)}/stat", "rb") as file:  # noqa: PTH123
                parent = int(file.read().rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry))
    found: set[int] = set()
    below = children.get(os.getpid(), [])
    while below:
        found.update(below)
        below = [child for pid in below for child in children.get(pid, [])]
    return found


if __name__ == "__main__":
    sys.exit(main())
