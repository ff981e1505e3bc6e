"""A night of hundreds of models with steps of five seconds: the whole DAG run of ours against the stock operators'.

The same Airflow, one after the other, each in a stack of its own: a scheduler, a triggerer, an api-server,
LocalExecutor, PostgreSQL, and a local AWS that simulates the steps. The stock DAG is in an Airflow without our plugin.
Ours runs from `plan` to `freshness`: it launches, waits and publishes every model, with what the jobs would have left
written by this program beside it, which takes its time from ours. No pace is kept in launching, by neither.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

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
    setting = Setting(plugin=True, step_seconds=STEP_SECONDS, account=UNPACED)
    with stage(scratch / "ours" / "state", dags, setting) as running:
        jobs = Jobs(running.url("app"), running.s3())
        run_id = running.start_run(dag_files.OURS)
        state = running.finish(dag_files.OURS, run_id, within_seconds=_LIMIT_SECONDS, look=jobs.write_new)
        _check(running, state, models)
        serving = _serving(running)
        if serving != models:
            raise RuntimeError(f"{serving} models were published, not {models}")
        return running.run_seconds(dag_files.OURS, run_id)


def stock_seconds(scratch: Path, models: int) -> float:
    dags = scratch / "stock" / "dags"
    dag_files.write_stock(dags, dag_files.model_names(models))
    with stage(
        scratch / "stock" / "state", dags, Setting(plugin=False, step_seconds=STEP_SECONDS)
    ) as running:
        run_id = running.start_run(dag_files.STOCK)
        state = running.finish(dag_files.STOCK, run_id, within_seconds=_LIMIT_SECONDS, look=lambda: None)
        _check(running, state, models)
        return running.run_seconds(dag_files.STOCK, run_id)


def _check(running: Stage, state: str, models: int) -> None:
    launched = len(running.aws.lives())
    if (state, launched) != ("success", models):
        raise RuntimeError(
            f"the run ended as {state} with {launched} clusters of {models}; {running.settings.logs}"
        )


def _serving(running: Stage) -> int:
    app = engine(running.url("app"))
    try:
        with app.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM serving.live_model")).scalar_one())
    finally:
        app.dispose()
