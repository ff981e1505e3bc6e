"""Rows for a person as a table, for a program as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs instead of a table.")]


def show(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, as_json: bool) -> None:
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
