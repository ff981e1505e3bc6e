"""`python -m benchmarks.fanout [part…]`: the parts in turn, a table, and `build/bench/fanout.json`."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.fanout import launching, parsing, waiting, whole_run
from benchmarks.figures import Figure, report

# by name: what measures it, and for how many models
PARTS: dict[str, tuple[Callable[[Path, int], dict[str, Figure]], int]] = {
    "run": (whole_run.measure, 200),
    "parsing": (parsing.measure, 1000),
    "waiting": (waiting.measure, 500),
    "launching": (launching.measure, 300),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"which to measure: {', '.join(PARTS)}; all without any")
    parser.add_argument("--models", type=int, help="another number than the goals are for: told without them")
    parser.add_argument(
        "--scratch", type=Path, help="keep stacks and their logs here; without: a folder that goes"
    )
    options = parser.parse_args()
    unknown = set(options.parts) - PARTS.keys()
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: accepted are {', '.join(PARTS)}")
    missed = 0
    for name in options.parts or PARTS:
        measure, models = PARTS[name]
        scratch = options.scratch or Path(tempfile.mkdtemp(prefix="bench-fanout-"))
        try:
            figures = measure(scratch / name, options.models or models)
            if options.models is not None:
                # the goals are for another number
                figures = {key: replace(figure, goal=None) for key, figure in figures.items()}
            missed |= report("fanout", figures)
        finally:
            if options.scratch is None:
                shutil.rmtree(scratch)
    return missed


if __name__ == "__main__":
    sys.exit(main())
