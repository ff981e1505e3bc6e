"""A database's URL → an engine, and our schemas in it at the revision this package carries.

Two histories of migrations that know nothing of each other, so that the application and the analytics
database may be one database or two. Each keeps its own version table inside a schema of ours: whatever else
lives in the database, other Alembic histories included, is neither read nor touched. Migrations are plain
DDL; schemas themselves are made here and never dropped, since others may keep things in them.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, RowMapping, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from trainyard import roles

log = logging.getLogger(__name__)

VERSION_TABLE = "trainyard_version"
_MIGRATIONS = Path(__file__).parent / "publishing" / "migrations"
EXPECTED_URL = "postgresql://user:password@host:5432/database, with @ : / ? # % in a password percent-encoded"
# Alembic's context is global to the process, so two threads must not migrate at once
_alembic_context = threading.Lock()


class DatabaseError(RuntimeError):
    """A database cannot be used as configured; the text says what would be accepted, never a password."""


@dataclass(frozen=True)
class History:
    """One line of migrations.

    :param folder: below ``publishing/migrations``
    :param schemas: the schemas it fills; the first holds the version table
    """

    folder: str
    schemas: tuple[str, ...]

    def config(self) -> Config:
        """What Alembic needs, without a file of its own."""
        config = Config()
        config.set_main_option("path_separator", "newline")
        config.set_main_option("script_location", _escaped(_MIGRATIONS))
        config.set_main_option("version_locations", _escaped(_MIGRATIONS / self.folder / "versions"))
        config.attributes["version_table"] = VERSION_TABLE
        config.attributes["version_table_schema"] = self.schemas[0]
        return config


APPLICATION = History("application", ("operations", "serving"))
ANALYTICS = History("analytics", ("analytics",))


def engine(url: str, *, patience_seconds: float | None = None) -> Engine:
    """An engine for a PostgreSQL URL as libpq, SQLAlchemy or an Airflow connection writes it.

    :param patience_seconds: how long a statement may take, waiting for locks included; none: as long as it takes
    :raises DatabaseError: the URL is none of them; its text never repeats the URL, which may hold a password
    """
    database = create_engine(
        _psycopg_url(url),
        # a nightly user finds its pooled connections closed by the server or a firewall
        pool_pre_ping=True,
        # our advisory locks rely on each statement's seeing what was committed before it
        isolation_level="READ COMMITTED",
        # artifacts and failure sentences have no place in an exception's text
        hide_parameters=True,
        # no column of ours has the type, which an engine would ask the server about before its first statement
        use_native_hstore=False,
        connect_args={
            "application_name": "trainyard",
            "connect_timeout": 10,
            # server-side prepared statements break behind PgBouncer
            "prepare_threshold": None,
            # a server that is gone without a word is noticed within a minute, and not after the system's two hours
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 60_000,
        },
    )
    if patience_seconds is not None:
        statement = f"SET LOCAL statement_timeout = {round(1000 * patience_seconds)}"
        # not when it connects: PgBouncer knows no such option, and would hand the setting on to others
        event.listen(database, "begin", lambda connection: connection.exec_driver_sql(statement))
    return database


def upgrade_app_db(engine: Engine) -> None:
    """Bring schemas ``operations`` and ``serving`` to this package's revision; a query if they are there."""
    migrate(engine, history=APPLICATION)


def upgrade_analytics_db(engine: Engine) -> None:
    """Bring schema ``analytics`` to this package's revision; a query if it is there."""
    migrate(engine, history=ANALYTICS)


def migrate(engine: Engine, *, history: History, revision: str = "head") -> None:
    """Move a history up to its head, or down to an older revision (``base``: drop it all, rows included).

    One transaction under an advisory lock: of many callers at once, one migrates and the others find it done.

    :raises DatabaseError: the database is at a revision that a later package made
    """
    scripts = ScriptDirectory.from_config(history.config())
    head = scripts.get_current_head()
    with engine.connect() as connection:
        if revision == "head" and _revision(connection, history) == head:
            return
    with _alembic_context, engine.begin() as connection:
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended('trainyard.migrate.' || :history, 0))"),
            {"history": history.folder},
        )
        current = _revision(connection, history)
        if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
            raise DatabaseError(
                f"schema {history.schemas[0]} of database {engine.url.database!r} is at revision "
                f"{current!r}, unknown to this trainyard, which ends at {head!r}: deploy the one that made it"
            )
        # DDL that waits behind a long query makes every later reader wait behind it: give up instead
        connection.execute(text("SET LOCAL lock_timeout = '10s'"))
        _create_schemas(connection, history)
        config = history.config()
        config.attributes["connection"] = connection
        if revision == "head":
            command.upgrade(config, revision)
            _tell_missing_rights(roles.grant(connection, history.schemas), engine)
        else:
            command.downgrade(config, revision)
        if revision == "base":
            roles.revoke(connection, history.schemas)


def _tell_missing_rights(statements: list[str], engine: Engine) -> None:
    if statements:
        log.warning(
            "the roles %s and %s could not be set up by this connection; who wants them has an administrator run in "
            "database %s: %s;",
            roles.READER,
            roles.PUBLISHER,
            engine.url.database,
            "; ".join(statements),
        )


def utc_values(row: RowMapping) -> dict[str, Any]:
    """A row's values with its times in UTC; PostgreSQL hands them out in the session's time zone."""
    return {
        name: value.astimezone(timezone.utc) if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def _psycopg_url(url: str) -> URL:
    try:
        parsed = make_url(url)
        # an @ left in a password moves the password's end into the host, and from there into error messages
        well_formed = "@" not in (parsed.host or "")
    except (ArgumentError, ValueError):
        well_formed = False
    if not well_formed:
        raise DatabaseError(f"the database URL is malformed; expected {EXPECTED_URL}")
    if parsed.drivername not in {"postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"}:
        raise DatabaseError(f"the database URL starts with {parsed.drivername!r}; expected {EXPECTED_URL}")
    query = dict(parsed.query)
    # an Airflow connection whose extra holds anything but strings puts all of it into this one parameter
    extra = query.pop("__extra__", None)
    if isinstance(extra, str):
        query.update(_extra_parameters(extra))
    return parsed.set(drivername="postgresql+psycopg", query=query)


def _extra_parameters(extra: str) -> dict[str, str]:
    try:
        return {key: str(value) for key, value in json.loads(extra).items()}
    except (ValueError, AttributeError):
        # the cause would quote the text, and with it what may be secret
        raise DatabaseError(
            f"the database URL's __extra__ is no JSON object; expected {EXPECTED_URL}"
        ) from None


def _revision(connection: Connection, history: History) -> str | None:
    schema = history.schemas[0]
    exists = text("SELECT to_regclass(:table) IS NOT NULL")
    if not connection.execute(exists, {"table": f"{schema}.{VERSION_TABLE}"}).scalar_one():
        return None
    revision = connection.execute(text(f"SELECT version_num FROM {schema}.{VERSION_TABLE}"))  # noqa: S608
    return revision.scalar_one_or_none()


def _create_schemas(connection: Connection, history: History) -> None:
    """Create the missing ones; CREATE … IF NOT EXISTS would ask for the right to create even if all exist."""
    for schema in history.schemas:
        exists = text("SELECT to_regnamespace(:schema) IS NOT NULL")
        if not connection.execute(exists, {"schema": schema}).scalar_one():
            connection.execute(text(f"CREATE SCHEMA {schema}"))


def _escaped(path: Path) -> str:
    """A path as the value of an option: Alembic's configuration reads % as the start of a reference."""
    return str(path).replace("%", "%%")
