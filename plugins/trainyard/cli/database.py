"""The databases for one command; whatever they lack ends the command with one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trainyard.cli.ending import NOT_POSSIBLE, end

if TYPE_CHECKING:
    from sqlalchemy import Engine

_TITLES = {"app_db": "application", "analytics_db": "analytics"}


@contextmanager
def database(name: str) -> Iterator[Engine]:
    """An engine for ``app_db`` or ``analytics_db``."""
    from sqlalchemy.exc import ProgrammingError, SQLAlchemyError  # noqa: PLC0415

    from trainyard.cli.connections import database_url  # noqa: PLC0415
    from trainyard.databases import DatabaseError, engine  # noqa: PLC0415

    title = _TITLES[name]
    try:
        found = engine(database_url(name))
    except DatabaseError as error:
        end(str(error), NOT_POSSIBLE)
    try:
        yield found
    except ProgrammingError as error:
        end(
            f"the {title} database has not what it should ({_reason(error)}); a DAG's first run makes its tables",
            NOT_POSSIBLE,
        )
    except SQLAlchemyError as error:
        end(f"the {title} database does not answer: {_reason(error)}", NOT_POSSIBLE)
    finally:
        found.dispose()


def _reason(error: Exception) -> str:
    """The driver's own first line, without SQLAlchemy's statement and link."""
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
