"""Parsing: a DAG of a thousand models by our YAML, by plain Python with the stock operators, and by dag-factory.

Each parse has a process of its own, the contestants take turns, and the median of each counts. Ours reads and validates
the whole file, and its tasks hold all that a cluster needs; the peers validate nothing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.fanout import dag_files
from benchmarks.fanout.stage import parsing_environment
from benchmarks.figures import Figure

_WORKER = "our worker"
# whoever is slow is parsed less often
_ROUNDS = {dag_files.OURS: 7, dag_files.STOCK: 7, _WORKER: 7, dag_files.DAG_FACTORY: 3}


def measure(scratch: Path, models: int) -> dict[str, Figure]:
    """Medians in seconds, and their ratios."""
    names = dag_files.model_names(models)
    writers: dict[str, Callable[[Path, Sequence[str]], Path]] = {
        dag_files.OURS: dag_files.write_ours,
        dag_files.STOCK: dag_files.write_stock,
        dag_files.DAG_FACTORY: dag_files.write_dag_factory,
    }
    files = {dag: write(scratch / "dags", names) for dag, write in writers.items()}
    tasks = {dag: 2 * models + (3 if dag == dag_files.OURS else 2) for dag in files}
    commands = {dag: ([str(file), dag], tasks[dag]) for dag, file in files.items()}
    one = f"{names[len(names) // 2]}.create_cluster"
    commands[_WORKER] = ([str(files[dag_files.OURS]), dag_files.OURS, one], 5)
    seconds: dict[str, list[float]] = {contestant: [] for contestant in commands}
    for round_ in range(max(_ROUNDS.values())):
        for contestant, (arguments, expected) in commands.items():
            if round_ < _ROUNDS[contestant]:
                seconds[contestant].append(_parse(scratch, arguments, expected))
    median = {contestant: statistics.median(each) for contestant, each in seconds.items()}
    ours, stock, dag_factory = (median[dag] for dag in files)
    return {
        "parsing, models": Figure(models),
        "parsing, ours, s": Figure(ours),
        "parsing, plain Python, s": Figure(stock),
        "parsing, dag-factory, s": Figure(dag_factory),
        "parsing, ours over plain Python": Figure(ours / stock, 2),
        "parsing, ours over dag-factory": Figure(ours / dag_factory, 0.3),
        "parsing, a worker's own, ms": Figure(1000 * median[_WORKER], 150),
    }


def _parse(scratch: Path, arguments: list[str], tasks: int) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fanout.parse_once", *arguments],
        env=parsing_environment(scratch),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds, found = done.stdout.split()[-2:]
    if int(found) != tasks:
        raise RuntimeError(f"{arguments}: {found} tasks, not {tasks}")
    return float(seconds)
