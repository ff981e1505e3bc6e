"""``trainyard models``, ``live`` and ``history``: what serves and what has served, by the application database."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timezone
from difflib import get_close_matches
from typing import Annotated

import typer

from trainyard.cli.database import database
from trainyard.cli.ending import NOT_POSSIBLE, WRONG, end
from trainyard.cli.showing import AsJson, show

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
    "pinned": "pinned",
    "why": "reason",
}
_HISTORY_COLUMNS = {
    "portfolio": "portfolio",
    "version": "version_id",
    "data date": "data_date",
    "training": "training_id",
    "attempt": "attempt",
    "when (UTC)": "at",
    "what": "event",
    "instead of": "replaced_version_id",
    "by": "actor",
    "why": "reason",
    "serves": "live",
}


def models(*, portfolio: InPortfolio = None, as_json: AsJson = False) -> None:
    """Show what serves now: the live version of each model."""
    from trainyard.publishing import live_models  # noqa: PLC0415

    with database("app_db") as app:
        live = [row for row in live_models(app) if portfolio in {None, row.portfolio}]
    if not live and not as_json:
        whose = f" of portfolio {portfolio}" if portfolio else ""
        typer.echo(
            f"no model{whose} serves yet: the first version of each goes live by itself when it is published"
        )
        return
    show([dataclasses.asdict(row) for row in live], _MODEL_COLUMNS, as_json=as_json)


def live(
    *,
    at: Annotated[
        str | None,
        typer.Option(help="A time such as 2026-11-22T08:30+01:00, UTC without an offset; none: now."),
    ] = None,
    portfolio: InPortfolio = None,
    as_json: AsJson = False,
) -> None:
    """Show what served at a time."""
    from trainyard.publishing import live_models  # noqa: PLC0415

    moment = None if at is None else _time(at)
    with database("app_db") as app:
        rows = [row for row in live_models(app, at=moment) if portfolio in {None, row.portfolio}]
    if not rows and not as_json:
        typer.echo(f"nothing served{f' at {at}' if at else ''}")
        return
    show([dataclasses.asdict(row) for row in rows], _MODEL_COLUMNS, as_json=as_json)


def history(
    model: Annotated[str, typer.Argument(help="Name of the model, or portfolio.model.")],
    *,
    portfolio: InPortfolio = None,
    as_json: AsJson = False,
) -> None:
    """Show what happened to every version of a model, and who did it, the newest first."""
    from trainyard.publishing import history as events_of  # noqa: PLC0415
    from trainyard.publishing import live_models  # noqa: PLC0415

    first, dot, second = model.partition(".")
    if dot:
        portfolio, model = first, second
    with database("app_db") as app:
        events = events_of(app, portfolio=portfolio, model=model)
        known = (
            () if events else {row.model for row in live_models(app) if portfolio in {None, row.portfolio}}
        )
    if not events:
        where = f" in portfolio {portfolio}" if portfolio else ""
        near = get_close_matches(model, known, n=1)
        end(f"model {model} has no version{where}" + (f"; nearest: {near[0]}" if near else ""), WRONG)
    show([dataclasses.asdict(row) for row in events], _HISTORY_COLUMNS, as_json=as_json)


def _time(text: str) -> datetime:
    try:
        # Python 3.10 does not know Z
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        end(f"--at is {text!r}; expected a time such as 2026-11-22T08:30+01:00", NOT_POSSIBLE)
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
