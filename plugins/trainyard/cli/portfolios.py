"""``trainyard validate`` and ``trainyard schema``: portfolios as files, without Airflow, AWS or a database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from trainyard.cli.ending import NOT_POSSIBLE, WRONG, end
from trainyard.portfolio import Portfolio, PortfolioError, json_schema, load_portfolio

PORTFOLIOS = Path("dags") / "portfolios"


def validate(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Portfolio files; none: all of the folder's.")
    ] = None,
    folder: Annotated[Path, typer.Option(help=f"Folder that holds {PORTFOLIOS}/*.yaml.")] = Path(),
    show: Annotated[
        str | None,
        typer.Option(help="A model: print the RunJobFlow request that would launch its cluster."),
    ] = None,
    deployment: Annotated[str, typer.Option(help="Deployment id that the shown request has.")] = "deployment",
) -> None:
    """Check portfolio files and tell every mistake of every file at once, also what EMR would refuse."""
    # here, so that `trainyard schema` starts without botocore
    from trainyard.cli import requests  # noqa: PLC0415

    chosen = files or sorted((folder / PORTFOLIOS).glob("*.yaml"))
    if not chosen:
        end(
            f"no portfolio: {folder / PORTFOLIOS} holds no .yaml file; name files, or give --folder",
            NOT_POSSIBLE,
        )
    portfolios = _load(chosen)
    wrong = len(portfolios) < len(chosen)
    for file, portfolio in portfolios.items():
        mistakes = requests.mistakes_of(portfolio)
        wrong = wrong or bool(mistakes)
        for mistake in mistakes:
            typer.echo(f"{file}: {mistake}", err=True)
        if show is None and not mistakes:
            count = len(portfolio.models)
            typer.echo(f"{file}: {count} {'model' if count == 1 else 'models'}")
    if wrong:
        raise typer.Exit(WRONG)
    if show is not None:
        portfolio = _only_with(show, portfolios)
        typer.echo(requests.shown(requests.request_of(portfolio, show, deployment=deployment)))


def _load(files: list[Path]) -> dict[Path, Portfolio]:
    """The portfolios that can be loaded; the mistakes of the others are told."""
    portfolios: dict[Path, Portfolio] = {}
    for file in files:
        try:
            portfolios[file] = load_portfolio(file)
        except PortfolioError as error:
            typer.echo(str(error), err=True)
    return portfolios


def _only_with(model: str, portfolios: dict[Path, Portfolio]) -> Portfolio:
    """The one portfolio that has a model of that name."""
    having = [(file, portfolio) for file, portfolio in portfolios.items() if model in portfolio.models]
    if not having:
        names = sorted({name for portfolio in portfolios.values() for name in portfolio.models})
        end(f"no model {model!r}; there are {', '.join(names)}", WRONG)
    if len(having) > 1:
        end(f"model {model!r} is in {', '.join(str(file) for file, _ in having)}; name one file", WRONG)
    return having[0][1]


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
