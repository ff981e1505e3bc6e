"""What a benchmark found: a table for a reader, and `build/bench/NAME.json` for a machine."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

import psutil

REPORTS = Path(__file__).resolve().parent.parent / "build" / "bench"


@dataclass(frozen=True)
class Figure:
    """A measured value; where it has no goal, it is only told.

    :param better: the direction that is better; a value equal to its goal reaches it
    """

    value: float
    goal: float | None = None
    better: Literal["lower", "higher"] = "lower"

    @property
    def missed(self) -> bool:
        if self.goal is None:
            return False
        return self.value < self.goal if self.better == "higher" else self.value > self.goal


def report(name: str, figures: Mapping[str, Figure]) -> int:
    """Print the figures and write those with a goal to `build/bench/NAME.json`, beside what other parts wrote there.

    :returns: the exit status: 1 where a goal was missed
    """
    path = REPORTS / f"{name}.json"
    entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    entries |= {key: asdict(figure) for key, figure in figures.items() if figure.goal is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    width = max(map(len, figures))
    for key, figure in figures.items():
        sys.stdout.write(f"{key:<{width}}  {_plain(figure.value):>10}  {_goal(figure)}".rstrip() + "\n")
    day = datetime.now(timezone.utc).date().isoformat()
    sys.stdout.write(
        f"{day}, {psutil.cpu_count()} cores, {platform.system()}; goals in build/bench/{name}.json\n"
    )
    return int(any(figure.missed for figure in figures.values()))


def _goal(figure: Figure) -> str:
    if figure.goal is None:
        return ""
    direction = "at least" if figure.better == "higher" else "at most"
    return f"{direction} {_plain(figure.goal)}{', missed' if figure.missed else ''}"


def _plain(value: float) -> str:
    """Whole numbers as such, others to four digits."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.4g}"
