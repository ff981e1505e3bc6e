"""``trainyard rollback``, ``pin`` and ``unpin``: what a person decides about serving, logged with who and why."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.database import database
from trainyard.cli.ending import WRONG, end

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from trainyard.publishing.rollback import ModelName

Model = Annotated[
    str, typer.Argument(help="Name of the model, or portfolio.model where several portfolios have it.")
]
InPortfolio = Annotated[str | None, typer.Option("--portfolio", help="The model's portfolio.")]
Reason = Annotated[str, typer.Option(help="Why; goes into the log.")]
Actor = Annotated[str | None, typer.Option(help="Who decides; none: the user at this machine.")]


def rollback(
    model: Model,
    *,
    reason: Reason,
    to: Annotated[
        int | None, typer.Option(help="The version that shall serve; none: the one that served before.")
    ] = None,
    portfolio: InPortfolio = None,
    actor: Actor = None,
) -> None:
    """Let an earlier version serve again, or any other; the model is pinned to it."""
    from trainyard.publishing.rollback import roll_back  # noqa: PLC0415

    with _model(model, portfolio) as (app, name):
        typer.echo(roll_back(app, name, actor=actor or _user(), reason=reason, to=to).sentence)


def pin(model: Model, *, reason: Reason, portfolio: InPortfolio = None, actor: Actor = None) -> None:
    """Keep what serves: runs record new versions and do not activate them."""
    _set_pin(model, portfolio, pinned=True, actor=actor, reason=reason)


def unpin(model: Model, *, reason: Reason, portfolio: InPortfolio = None, actor: Actor = None) -> None:
    """Let the next run replace what serves."""
    _set_pin(model, portfolio, pinned=False, actor=actor, reason=reason)


def _set_pin(model: str, portfolio: str | None, *, pinned: bool, actor: str | None, reason: str) -> None:
    from trainyard.publishing.rollback import set_pin  # noqa: PLC0415

    with _model(model, portfolio) as (app, name):
        typer.echo(set_pin(app, name, pinned=pinned, actor=actor or _user(), reason=reason).sentence)


@contextmanager
def _model(word: str, portfolio: str | None) -> Iterator[tuple[Engine, ModelName]]:
    from trainyard.publishing.rollback import RollbackError, find_model  # noqa: PLC0415

    with database("app_db") as app:
        try:
            yield app, find_model(app, word, portfolio=portfolio)
        except RollbackError as error:
            end(str(error), WRONG)


def _user() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"
