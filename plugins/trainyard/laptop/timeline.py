"""What a start tells the person who waits: one line for each step, with the time it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_WIDE = Console(width=1000)


class Timeline:
    """Prints steps as they finish; on a terminal, also the one that is being waited for."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since this timeline began."""
        return time.monotonic() - self._started

    @contextmanager
    def step(self, name: str, note: str = "") -> Iterator[None]:
        """A step that prints one line once it is done, and none where it fails."""
        started = time.monotonic()
        with self.console.status(f"{name} …"):
            yield
        seconds = f"{time.monotonic() - started:.1f} s"
        self.console.print(f"  {name:<28}{seconds:>8}  {note}".rstrip(), markup=False, highlight=False)

    def show(self, table: Table) -> None:
        """A table in full: a narrow window wraps its lines, rather than that numbers are cut off."""
        width = max(self.console.width, Measurement.get(_WIDE, _WIDE.options, table).maximum)
        terminal = self.console.is_terminal
        Console(file=self.console.file, width=width, force_terminal=terminal).print(table)

    def say(self, text: str = "") -> None:
        """A line of its own."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
