"""``trainyard prune`` and ``trainyard roles``: what an administrator does to the databases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainyard.cli.database import database
from trainyard.cli.ending import NOT_POSSIBLE, WRONG, end
from trainyard.cli.portfolios import PORTFOLIOS
from trainyard.portfolio import Portfolio, PortfolioError, load_portfolio


def prune(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Portfolio files; none: all of the folder's.")
    ] = None,
    folder: Annotated[Path, typer.Option(help=f"Folder that holds {PORTFOLIOS}/*.yaml.")] = Path(),
) -> None:
    """Let go of artifacts and curves that portfolios no longer keep."""
    from trainyard.publishing.retention import prune as prune_portfolio  # noqa: PLC0415

    chosen = files or sorted((folder / PORTFOLIOS).glob("*.yaml"))
    if not chosen:
        end(
            f"no portfolio: {folder / PORTFOLIOS} holds no .yaml file; name files, or give --folder",
            NOT_POSSIBLE,
        )
    portfolios = [_load(file) for file in chosen]
    with database("app_db") as app, database("analytics_db") as analytics:
        for portfolio in portfolios:
            pruned = prune_portfolio(app, analytics, portfolio)
            typer.echo(
                f"{portfolio.name}: {pruned.versions} artifacts ({pruned.artifact_bytes / 1e6:,.1f} MB) and "
                f"{pruned.curves} curves let go of"
            )


def roles() -> None:
    """Give the roles trainyard_reader and trainyard_publisher their rights, or print what has to be run."""
    from trainyard.databases import ANALYTICS, APPLICATION  # noqa: PLC0415
    from trainyard.roles import grant  # noqa: PLC0415

    refused = []
    for name, history in (("app_db", APPLICATION), ("analytics_db", ANALYTICS)):
        with database(name) as found, found.begin() as connection:
            statements = grant(connection, history.schemas)
        refused += statements
        if statements:
            typer.echo(f"-- in database {found.url.database}")
            typer.echo("\n".join(f"{statement};" for statement in statements))
    if refused:
        end("this connection may not do it; the statements above are for one that may", WRONG)
    typer.echo("trainyard_reader and trainyard_publisher have their rights")


def _load(file: Path) -> Portfolio:
    try:
        return load_portfolio(file)
    except PortfolioError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(WRONG) from error
