"""``trainyard validate`` and ``trainyard schema``: portfolios as files, without Airflow, AWS or a database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from trainyard.cli.ending import NOT_POSSIBLE, WRONG, end
from trainyard.portfolio import PortfolioError, json_schema, load_portfolio

PORTFOLIOS = Path("dags") / "portfolios"


def validate(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Portfolio files; none: all of the folder's.")
    ] = None,
    folder: Annotated[Path, typer.Option(help=f"Folder that holds {PORTFOLIOS}/*.yaml.")] = Path(),
) -> None:
    """Check portfolio files and tell every mistake of every file at once."""
    chosen = files or sorted((folder / PORTFOLIOS).glob("*.yaml"))
    if not chosen:
        end(
            f"no portfolio: {folder / PORTFOLIOS} holds no .yaml file; name files, or give --folder",
            NOT_POSSIBLE,
        )
    wrong = 0
    for file in chosen:
        try:
            portfolio = load_portfolio(file)
        except PortfolioError as error:
            wrong += 1
            typer.echo(str(error), err=True)
        else:
            count = len(portfolio.models)
            typer.echo(f"{file}: {count} {'model' if count == 1 else 'models'}")
    if wrong:
        raise typer.Exit(WRONG)


def schema(
    output: Annotated[Path, typer.Option(help="File to write; - for standard output.")] = (
        PORTFOLIOS / "portfolio.schema.json"
    ),
) -> None:
    """Write the JSON schema that lets editors complete and check portfolio files."""
    text = schema_text()
    if str(output) == "-":
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        end(
            f"cannot write {output}: {error.strerror}; run it beside the folder dags, or give --output",
            NOT_POSSIBLE,
        )
    typer.echo(f"{output}: written")


def schema_text() -> str:
    """The bytes of the committed schema file, as text."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
