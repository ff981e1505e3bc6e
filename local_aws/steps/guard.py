"""The parent of a step's command: when local_aws is gone, in whatever way, so is the step.

Run as a script, `guard.py [--no-new-privileges] <descriptor> <command> …`, in a session of its own. The descriptor is
the reading end of a pipe whose other end only local_aws holds: it is never written to, and ends when local_aws ends.
Standard library only, and as little of it as will do: this starts once a step.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

NO_NEW_PRIVILEGES = "--no-new-privileges"
_PR_SET_NO_NEW_PRIVS = 38


def main() -> int:
    arguments = sys.argv[1:]
    if arguments[0] == NO_NEW_PRIVILEGES:
        arguments.pop(0)
        _give_up_new_privileges()
    watched, command = int(arguments[0]), arguments[1:]
    try:
        child = subprocess.Popen(command)
    except OSError as problem:
        sys.stderr.write(f"{command[0]}: {problem.strerror}\n")
        return 127
    threading.Thread(target=_end_with, args=(watched,), daemon=True).start()
    code = child.wait()
    # as a shell says it: 128 and the signal
    return code if code >= 0 else 128 - code


def _give_up_new_privileges() -> None:
    """From here on no program, such as sudo, runs as anybody else (prctl(2)); other systems have no such word."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - most guards never need it

    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")


def _end_with(watched: int) -> None:
    while os.read(watched, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
