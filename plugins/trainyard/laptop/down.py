"""``down``: end the stack that runs, or what a crash left of one."""

from __future__ import annotations

import signal
import time

from trainyard.laptop.credentials import load_credentials
from trainyard.laptop.lock import StackLock
from trainyard.laptop.processes import end_stack, marker
from trainyard.laptop.settings import Settings
from trainyard.laptop.timeline import Timeline

_STOP_SECONDS = 60.0


def down(settings: Settings, timeline: Timeline) -> int:
    """Stop the stack of this state folder; the exit code is 0 once nothing of it is left."""
    if not settings.run.is_dir():
        timeline.say("nothing was running")
        return 0
    lock = StackLock(settings.run)
    try:
        stopped = _stop_supervisor(lock, timeline)
        lock.acquire(command="make down")
        stack = marker(load_credentials(settings.run).stack_id, settings.state)
        left = end_stack(stack, settings.postgres, tell=lambda _: None)
    finally:
        lock.release()
    if left:
        timeline.say(f"ended {left} processes that an earlier start had left running")
    elif not stopped:
        timeline.say("nothing was running")
    return 0


def _stop_supervisor(lock: StackLock, timeline: Timeline) -> bool:
    if lock.is_free():
        return False
    holder = lock.holder()
    supervisor = holder.process() if holder is not None else None
    if holder is None or supervisor is None:
        return False
    with timeline.step(f"stopping `{holder.command}`"):
        supervisor.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while supervisor.is_running() and not lock.is_free():
            if time.monotonic() > deadline:
                # its guard does the rest
                supervisor.kill()
                break
            time.sleep(0.1)
    return True
