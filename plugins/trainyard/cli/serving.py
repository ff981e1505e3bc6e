"""``trainyard models`` and ``trainyard history``: what serves and what has served, by the application database."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainyard.cli.ending import NOT_POSSIBLE, WRONG, end

if TYPE_CHECKING:
    from sqlalchemy import Engine

AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs instead of a table.")]
InPortfolio = Annotated[str | None, typer.Option("--portfolio", help="Only this portfolio's; none: all.")]

# title of the column → field of the row
_MODEL_COLUMNS = {
    "portfolio": "portfolio",
    "model": "model",
    "version": "version_id",
    "data date": "data_date",
    "threshold": "threshold",
    "features": "num_features",
    "serves since (UTC)": "activated_at",
    "instead of": "replaced_version_id",
    "why": "reason",
}
_HISTORY_COLUMNS = {
    "portfolio": "portfolio",
    "version": "version_id",
    "data date": "data_date",
    "training": "training_id",
    "attempt": "attempt",
    "recorded (UTC)": "published_at",
    "activated (UTC)": "activated_at",
    "by": "actor",
    "why": "reason",
    "serves": "live",
}


def models(*, portfolio: InPortfolio = None, as_json: AsJson = False) -> None:
    """Show what serves now: the live version of each model."""
    from trainyard.publishing import live_models  # noqa: PLC0415

    with _application_database() as app:
        live = [row for row in live_models(app) if portfolio in {None, row.portfolio}]
    if not live and not as_json:
        whose = f" of portfolio {portfolio}" if portfolio else ""
        typer.echo(
            f"no model{whose} serves yet: the first version of each goes live by itself when it is published"
        )
        return
    _show([dataclasses.asdict(row) for row in live], _MODEL_COLUMNS, as_json=as_json)


def history(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    *,
    portfolio: InPortfolio = None,
    as_json: AsJson = False,
) -> None:
    """Show every version of a model and when it was activated, the newest first."""
    from trainyard.publishing import history as events_of  # noqa: PLC0415
    from trainyard.publishing import live_models  # noqa: PLC0415

    with _application_database() as app:
        events = events_of(app, portfolio=portfolio, model=model)
        known = (
            () if events else {row.model for row in live_models(app) if portfolio in {None, row.portfolio}}
        )
    if not events:
        where = f" in portfolio {portfolio}" if portfolio else ""
        near = get_close_matches(model, known, n=1)
        end(f"model {model} has no version{where}" + (f"; nearest: {near[0]}" if near else ""), WRONG)
    _show([dataclasses.asdict(row) for row in events], _HISTORY_COLUMNS, as_json=as_json)


@contextmanager
def _application_database() -> Iterator[Engine]:
    """The database for one command; whatever it lacks ends the command with one sentence."""
    from sqlalchemy.exc import ProgrammingError, SQLAlchemyError  # noqa: PLC0415

    from trainyard.cli.connections import database_url  # noqa: PLC0415
    from trainyard.databases import DatabaseError, engine  # noqa: PLC0415

    try:
        app = engine(database_url("app_db"))
    except DatabaseError as error:
        end(str(error), NOT_POSSIBLE)
    try:
        yield app
    except ProgrammingError as error:
        end(
            f"the application database has not what it should ({_reason(error)}); a DAG's first run makes its tables",
            NOT_POSSIBLE,
        )
    except SQLAlchemyError as error:
        end(f"the application database does not answer: {_reason(error)}", NOT_POSSIBLE)
    finally:
        app.dispose()


def _reason(error: Exception) -> str:
    """The driver's own first line, without SQLAlchemy's statement and link."""
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def _show(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=2, sort_keys=True, default=_iso, ensure_ascii=False))
        return
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    # a pipe has no width, and rich would cut lines at 80 characters
    console = Console(width=None if sys.stdout.isatty() else 240)
    table = Table(*columns, box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(_cell(row[field]) for field in columns.values()))
    console.print(table, soft_wrap=False)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bool):
        return "now" if value else ""
    return "" if value is None else str(value)


def _iso(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{value!r} has no form in JSON")
