"""Hundreds of models that all wait, for five minutes: EMR calls a minute, and what the triggerer takes meanwhile.

Both in an Airflow with our plugin, so that the stock DAG's launches are over sooner; while all wait, no worker runs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psutil

from benchmarks.fanout import dag_files
from benchmarks.fanout.stage import Setting, Stage, stage
from benchmarks.fanout.whole_run import UNPACED
from benchmarks.figures import Figure
from trainyard.laptop.airflow_api import parse_time

# longer than any launching and waiting takes
_STEP_SECONDS = 24 * 3600
_LAUNCH_SECONDS = 2400
MINUTES = 5


@dataclass(frozen=True)
class Waited:
    """While all waited.

    :param calls: by operation
    :param memory_mb: the triggerer's, of what its processes share a share
    :param cpu_seconds: the triggerer's
    """

    calls: dict[str, int]
    memory_mb: float
    cpu_seconds: float

    @property
    def calls_a_minute(self) -> float:
        return sum(self.calls.values()) / MINUTES


def measure(scratch: Path, models: int) -> dict[str, Figure]:
    """Of ours and of the stock DAG."""
    names = dag_files.model_names(models)
    dag_files.write_ours(scratch / "ours" / "dags", names)
    dag_files.write_stock(scratch / "stock" / "dags", names)
    ours = _wait(scratch / "ours", dag_files.OURS, models)
    stock = _wait(scratch / "stock", dag_files.STOCK, models)
    return {
        "waiting, models": Figure(models),
        "waiting, EMR calls a minute, ours": Figure(ours.calls_a_minute, 30),
        "waiting, EMR calls a minute, stock": Figure(stock.calls_a_minute),
        "waiting, triggerer's memory, ours, MB": Figure(ours.memory_mb),
        "waiting, triggerer's memory, stock, MB": Figure(stock.memory_mb),
        "waiting, triggerer's CPU, ours, s": Figure(ours.cpu_seconds),
        "waiting, triggerer's CPU, stock, s": Figure(stock.cpu_seconds),
    }


def _wait(scratch: Path, dag: str, models: int) -> Waited:
    setting = Setting(plugin=True, step_seconds=_STEP_SECONDS, account=UNPACED)
    with stage(scratch / "state", scratch / "dags", setting) as running:
        run_id = running.start_run(dag)
        running.wait(
            f"{models} waiting models",
            lambda: running.deferred(dag, run_id) == models,
            within_seconds=_LAUNCH_SECONDS,
            every_seconds=2,
        )
        found = _watch(running)
        still = running.deferred(dag, run_id)
        if still != models:
            raise RuntimeError(f"{still} of {models} models still wait; {running.settings.logs}")
        return found


def _watch(running: Stage) -> Waited:
    triggerer = psutil.Process(running.supervisor.parts["triggerer"].pid)
    before, began = _cpu_seconds(triggerer), datetime.now(timezone.utc)
    ends = began + timedelta(minutes=MINUTES)
    # a measurement's own length, not a wait for something to happen
    time.sleep((ends - began).total_seconds())
    after = _cpu_seconds(triggerer)
    calls: dict[str, int] = {}
    for call in running.aws.calls():
        if began <= parse_time(call["at"]) < ends:
            calls[call["operation"]] = calls.get(call["operation"], 0) + 1
    return Waited(calls, _memory_mb(triggerer), after - before)


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _cpu_seconds(process: psutil.Process) -> float:
    return sum(times.user + times.system for times in (each.cpu_times() for each in _family(process)))


def _memory_mb(process: psutil.Process) -> float:
    return sum(float(each.memory_full_info().pss) for each in _family(process)) / 1e6
