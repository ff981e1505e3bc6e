"""How a command ends that cannot do what it was asked: one sentence on standard error, and an exit code."""

from __future__ import annotations

from typing import NoReturn

import typer

WRONG = 1  # what was asked about is wrong, or not there
NOT_POSSIBLE = 2  # the command could not be carried out, as with an unknown option


def end(sentence: str, code: int) -> NoReturn:
    """Leave with a sentence and an exit code."""
    typer.echo(f"trainyard: {sentence}", err=True)
    raise typer.Exit(code)
