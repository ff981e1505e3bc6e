"""The parent of a step's command: when local_aws is gone, in whatever way, so is the step.

Run as a script, `guard.py <descriptor> <command> …`, in a session of its own. The descriptor is the reading
end of a pipe whose other end only local_aws holds: it is never written to, and ends when local_aws ends.
Standard library only, and as little of it as will do: this starts once a step.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main() -> int:
    watched, command = int(sys.argv[1]), sys.argv[2:]
    try:
        child = subprocess.Popen(command)
    except OSError as problem:
        sys.stderr.write(f"{command[0]}: {problem.strerror}\n")
        return 127
    threading.Thread(target=_end_with, args=(watched,), daemon=True).start()
    code = child.wait()
    # as a shell says it: 128 and the signal
    return code if code >= 0 else 128 - code


def _end_with(watched: int) -> None:
    while os.read(watched, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
