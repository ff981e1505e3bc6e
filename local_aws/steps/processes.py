"""Finds and ends what a step started, however it was started.

Process groups are not enough: Spark's Python daemon makes a group of its own, and a shell step may start what
it likes. Every process of a step carries one marker in its environment, `LOCAL_AWS_STEP`, that its
children inherit; who carries it belongs to the step, also after local_aws itself was killed and started anew. So does
whoever lost the marker with its environment, but is below one that carries it: on Linux at least the guard, which
takes in what has lost its parent.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import psutil

from local_aws.steps import guard

MARKER = "LOCAL_AWS_STEP"
_GIVE_UP_AFTER_SECONDS = 20.0
_POLL_SECONDS = 0.05


class StillRunningError(Exception):
    """Processes that could not be ended."""


def marker(root: Path, cluster_id: str = "", step_id: str = "") -> str:
    """What a step's processes carry; without a step, the beginning of what all of the cluster's carry."""
    return "|".join([str(root.resolve()), *(part for part in (cluster_id, step_id) if part)])


def belonging(prefix: str) -> list[psutil.Process]:
    """Every process whose marker is `prefix` or lies below it, and every process below those; never this one."""
    found: dict[int, psutil.Process] = {}
    children: dict[int, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(psutil.Error, OSError):
            children.setdefault(process.ppid(), []).append(process)
            value = process.environ().get(MARKER, "")
            if value == prefix or value.startswith(prefix + "|"):
                found[process.pid] = process
    below = list(found)
    while below:
        new = [child for pid in below for child in children.get(pid, ()) if child.pid not in found]
        found |= {child.pid: child for child in new}
        below = [child.pid for child in new]
    return list(found.values())


def end(prefix: str, *, grace_seconds: float) -> int:
    """SIGTERM, and after the grace SIGKILL, until nothing that belongs to the marker is left.

    Returns how many were found; raises StillRunningError where some could not be ended.
    """
    found = belonging(prefix)
    _signal(found, kill=False)
    psutil.wait_procs(found, timeout=grace_seconds)
    give_up_at = time.monotonic() + _GIVE_UP_AFTER_SECONDS
    while left := belonging(prefix):
        if time.monotonic() > give_up_at:
            raise StillRunningError(f"could not end processes {', '.join(str(p.pid) for p in left)}")
        # the guards last: without its guard, nobody knows any more whose an unmarked process is
        _signal([process for process in left if not _is_guard(process)] or left, kill=True)
        time.sleep(_POLL_SECONDS)
    return len(found)


def _is_guard(process: psutil.Process) -> bool:
    try:
        return guard.__file__ in process.cmdline()
    except (psutil.Error, OSError):
        return False


def files_being_written(prefix: str) -> frozenset[Path]:
    """Files that the step's processes hold open for writing now (known on Linux; elsewhere none)."""
    paths = set()
    for process in belonging(prefix):
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
