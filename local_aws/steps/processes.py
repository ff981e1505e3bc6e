"""Finds and ends what a step started, however it was started.

Process groups are not enough: Spark's Python daemon makes a group of its own, and a shell step may start what
it likes. Every process of a step carries one marker in its environment, `LOCAL_AWS_STEP`, that its
children inherit; who carries it belongs to the step, also after local_aws itself was killed and started anew.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import psutil

MARKER = "LOCAL_AWS_STEP"
_GIVE_UP_AFTER_SECONDS = 20.0
_POLL_SECONDS = 0.05


class StillRunningError(Exception):
    """Processes that could not be ended."""


def marker(root: Path, cluster_id: str = "", step_id: str = "") -> str:
    """What a step's processes carry; without a step, the beginning of what all of the cluster's carry."""
    return "|".join([str(root.resolve()), *(part for part in (cluster_id, step_id) if part)])


def marked(prefix: str) -> list[psutil.Process]:
    """Every process whose marker is `prefix` or lies below it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            value = process.environ().get(MARKER, "")
            if process.pid != os.getpid() and (value == prefix or value.startswith(prefix + "|")):
                found.append(process)
    return found


def end(prefix: str, *, grace_seconds: float) -> int:
    """SIGTERM, and after the grace SIGKILL, until nothing that carries the marker is left.

    Returns how many were found; raises StillRunningError where some could not be ended.
    """
    found = marked(prefix)
    _signal(found, kill=False)
    psutil.wait_procs(found, timeout=grace_seconds)
    give_up_at = time.monotonic() + _GIVE_UP_AFTER_SECONDS
    while left := marked(prefix):
        if time.monotonic() > give_up_at:
            raise StillRunningError(f"could not end processes {', '.join(str(p.pid) for p in left)}")
        _signal(left, kill=True)
        time.sleep(_POLL_SECONDS)
    return len(found)


def files_being_written(prefix: str) -> frozenset[Path]:
    """Files that the step's processes hold open for writing now (known on Linux; elsewhere none)."""
    paths = set()
    for process in marked(prefix):
        with contextlib.suppress(psutil.Error, OSError):
            paths |= {Path(file.path) for file in process.open_files() if getattr(file, "mode", "r") != "r"}
    return frozenset(paths)


def _signal(processes: list[psutil.Process], *, kill: bool) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            if kill:
                process.kill()
            else:
                process.terminate()
