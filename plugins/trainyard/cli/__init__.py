"""The console script ``trainyard``: what a person or a CI job asks of portfolios and of the databases.

Exit codes: 0 all is well, 1 what was asked for is wrong or not there, 2 the command cannot be carried out. Each
command imports what it needs when it runs, so that ``trainyard validate`` starts without SQLAlchemy or Airflow.
"""

from __future__ import annotations

import typer

from trainyard.cli import keeping, portfolios, reaping, rollback, scoring, serving, thresholds

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Portfolios of models, and what became of them.",
)
app.command("validate")(portfolios.validate)
app.command("schema")(portfolios.schema)
app.command("models")(serving.models)
app.command("live")(serving.live)
app.command("history")(serving.history)
app.command("rollback")(rollback.rollback)
app.command("pin")(rollback.pin)
app.command("unpin")(rollback.unpin)
app.command("score")(scoring.score)
app.command("threshold")(thresholds.threshold)
app.command("prune")(keeping.prune)
app.command("roles")(keeping.roles)
app.command("reap")(reaping.reap)


def main() -> None:
    """Entry point of the console script."""
    app()
