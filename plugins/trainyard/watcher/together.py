"""What many triggers ask for at about the same time, done together: one queue and one thread, however many they are."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Timer
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Together(Generic[Item]):
    """Does in its thread what is asked for: what comes while it is at work is done with the next.

    :param do: is given what has come, in its order, and never nothing
    :param gather_seconds: how long more may come before it begins; none where somebody waits for the end
    """

    def __init__(self, name: str, do: Callable[[list[Item]], None], *, gather_seconds: float = 0) -> None:
        self._do = do
        self.gather_seconds = gather_seconds
        self._queue: deque[Item] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"trainyard-{name}")

    def add(self, *items: Item) -> Future[None]:
        """Returns at once; the future has a result once these items, and all before them, are done."""
        self._queue.extend(items)
        return self._thread.submit(self._do_all)

    def add_later(self, *items: Item, seconds: float) -> None:
        """Add them after some time, if the process lives so long."""
        timer = Timer(seconds, self.add, items)
        timer.daemon = True
        timer.start()

    def _do_all(self) -> None:
        if not self._queue:
            return
        time.sleep(self.gather_seconds)
        self._do([self._queue.popleft() for _ in range(len(self._queue))])
