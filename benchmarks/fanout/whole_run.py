"""A night of hundreds of models with steps of five seconds: the whole DAG run of ours against the stock operators'.

The same Airflow, one after the other, each in a stack of its own: a scheduler, a triggerer, an api-server,
LocalExecutor, PostgreSQL, and a local AWS that simulates the steps. The stock DAG is in an Airflow without our plugin.
As before any night but the first, each stack has run a DAG of the same kind, with one model: an api-server and a
triggerer make up their routes, which takes them seconds, when a task first asks them something.
Ours runs from `plan` to `freshness`: it launches, waits and publishes every model, with what the jobs would have left
written by this program beside it, which takes its time from ours. No pace is kept in launching, by neither.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, text

from benchmarks.fanout import dag_files
from benchmarks.fanout.jobs import Jobs
from benchmarks.fanout.stage import Setting, Stage, stage
from benchmarks.figures import Figure
from trainyard.databases import engine

STEP_SECONDS = 5
UNPACED = {"launches_per_minute": None}
_LIMIT_SECONDS = 1800


def measure(scratch: Path, models: int) -> dict[str, Figure]:
    """Seconds of both runs, and their ratio."""
    ours, stock = ours_seconds(scratch, models), stock_seconds(scratch, models)
    return {
        "whole run, models": Figure(models),
        "whole run, ours, s": Figure(ours),
        "whole run, stock operators, s": Figure(stock),
        "whole run, ours over stock": Figure(ours / stock, 0.45),
    }


def ours_seconds(scratch: Path, models: int) -> float:
    dags = scratch / "ours" / "dags"
    dag_files.write_ours(dags, dag_files.model_names(models))
    dag_files.write_ours(dags, ["one"], dag_files.BEFORE)
    setting = Setting(plugin=True, step_seconds=STEP_SECONDS, account=UNPACED)
    with stage(scratch / "ours" / "state", dags, setting) as running:
        app = engine(running.url("app"))
        try:
            jobs = Jobs(app, running.s3())
            _run(running, dag_files.BEFORE, look=jobs.write_new)
            seconds = _run(running, dag_files.OURS, look=jobs.write_new)
            _check(running, launched=len(running.aws.lives()), published=_serving(app), models=models)
            return seconds
        finally:
            app.dispose()


def stock_seconds(scratch: Path, models: int) -> float:
    dags = scratch / "stock" / "dags"
    dag_files.write_stock(dags, dag_files.model_names(models))
    dag_files.write_stock(dags, ["one"], dag_files.BEFORE)
    with stage(
        scratch / "stock" / "state", dags, Setting(plugin=False, step_seconds=STEP_SECONDS)
    ) as running:
        _run(running, dag_files.BEFORE, look=lambda: None)
        seconds = _run(running, dag_files.STOCK, look=lambda: None)
        _check(running, launched=len(running.aws.lives()), models=models)
        return seconds


def _run(running: Stage, dag: str, look: Callable[[], None]) -> float:
    """Seconds of a run that ended well."""
    run_id = running.start_run(dag)
    state = running.finish(dag, run_id, within_seconds=_LIMIT_SECONDS, look=look)
    if state != "success":
        raise RuntimeError(f"the run of {dag} ended as {state}; {running.settings.logs}")
    return running.run_seconds(dag, run_id)


def _check(running: Stage, *, models: int, **counted: int) -> None:
    """That of each there is one for each model, and one for that of the run before."""
    for what, count in counted.items():
        if count != models + 1:
            raise RuntimeError(
                f"{count} clusters or models were {what}, not {models + 1}; {running.settings.logs}"
            )


def _serving(app: Engine) -> int:
    with app.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM serving.live_model")).scalar_one())
