"""Progress as a person sees it: a table that moves on a terminal, a line for each change where there is none."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from trainyard.laptop.progress import Progress


class ProgressView:
    """Shows progress inside the ``with``, with the seconds since it was entered."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        self._changed: dict[str, tuple[Progress, float]] = {}

    def __enter__(self) -> ProgressView:
        self._started = time.monotonic()
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, progress: Sequence[Progress]) -> None:
        """Show where the models are now."""
        seconds = time.monotonic() - self._started
        changed = [model for model in progress if self._changed.get(model.model, (None, 0.0))[0] != model]
        for model in changed:
            self._changed[model.model] = (model, seconds)
        if self._live is not None:
            self._live.update(self._table(seconds))
            return
        for model in changed:
            line = f"  {seconds:6.1f} s  {model.model:<20}{model.phase:<16}{model.cluster_id}"
            self._console.print(line.rstrip(), markup=False, highlight=False)

    def _table(self, seconds: float) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("model", "now", "since", "cluster"):
            table.add_column(name, justify="right" if name == "since" else "left", no_wrap=True)
        for model, since in self._changed.values():
            table.add_row(model.model, model.phase, f"{seconds - since:.0f} s", model.cluster_id)
        return table
