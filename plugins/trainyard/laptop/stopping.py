"""What makes a stack stop: a signal, or something that a thread sees going wrong, as one exception."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WATCH_SECONDS = 0.5


class StackStoppedError(Exception):
    """The stack has to end now.

    :param signal_number: of the signal by which a person asked for it; None where something failed
    """

    def __init__(self, reason: str, *, signal_number: int | None = None) -> None:
        super().__init__(reason)
        self.signal_number = signal_number


class _Stop:
    def __init__(self, look: Callable[[], str | None]) -> None:
        self._look = look
        self._parent = os.getppid()
        self._reason: str | None = None
        self.done = threading.Event()

    def receive(self, number: int, _frame: FrameType | None) -> None:
        if self.done.is_set():
            return
        self.done.set()
        if self._reason is not None:
            raise StackStoppedError(self._reason)
        raise StackStoppedError(f"stopped by {signal.Signals(number).name}", signal_number=number)

    def watch(self) -> None:
        while not self.done.wait(_WATCH_SECONDS):
            gone = os.getppid() != self._parent
            self._reason = "the program that started this one is gone" if gone else self._look()
            if self._reason is not None:
                os.kill(os.getpid(), signal.SIGTERM)
                return


@contextmanager
def stopping(look: Callable[[], str | None]) -> Iterator[Callable[[], None]]:
    """Inside the ``with``, raise StackStoppedError in the main thread once there is a reason to stop.

    Reasons are SIGINT, SIGTERM and SIGHUP, the end of the process that started this one (make, whose own death
    by SIGKILL tells nobody), and whatever ``look`` returns, which is asked twice a second.

    Yields a function after which nothing interrupts any more: the stack is being ended, in bounded time.
    """
    stop = _Stop(look)

    def disarm() -> None:
        stop.done.set()
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    before = {number: signal.signal(number, stop.receive) for number in _SIGNALS}
    threading.Thread(target=stop.watch, name="stack-watch", daemon=True).start()
    try:
        yield disarm
    finally:
        stop.done.set()
        for number, handler in before.items():
            signal.signal(number, handler)
