"""Steps side by side: Spark shares the cluster between the jobs of several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def together(*steps: Callable[[], Any]) -> list[Any]:
    """Run the steps at once and return their results in order; of several errors, the first step's is raised."""
    with ThreadPoolExecutor(max_workers=len(steps)) as threads:
        running = [threads.submit(step) for step in steps]
        return [each.result() for each in running]
