"""publish_run killed by SIGKILL before each of its statements and commits and after the last, then run again."""

from __future__ import annotations

import itertools
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.sql import Composable
from sqlalchemy import Connection, Engine, text

from trainyard.databases import engine
from trainyard.laptop.postgres import PostgresServer
from trainyard.training import Training

if TYPE_CHECKING:
    from conftest import Yard

TODAY = date(2026, 11, 22)


@pytest.fixture
def run(yard: Yard) -> list[Training]:
    """A run in which a model is new, one replaces an older version, one is a backfill, one pinned, one held back, one
    failed, and one left a manifest without the ledger's having been told of its end."""
    yesterday, tomorrow = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
    yard.publish(*(yard.succeeded(model, run="before", data_date=yesterday) for model in ("hotels", "ships")))
    yard.publish(yard.succeeded("cars", run="later", data_date=tomorrow))
    with yard.app.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO serving.pin (version_id, portfolio, model, pinned, actor, reason) "
                "SELECT version_id, portfolio, model, true, 'ada', 'holidays' FROM serving.live_model "
                "WHERE model = 'ships'"
            )
        )
    failed = yard.training("trains")
    yard.attempt(
        failed, outcome="failed", failure_code="spot_lost", failure_reason="The spot node was taken."
    )
    infeasible = {"threshold_rule": {"rule": "precision_at_least", "feasible": False}}
    good = [yard.succeeded(model) for model in ("cars", "flights", "hotels", "ships")]
    return [*good, yard.succeeded("buses", metrics=infeasible), failed, yard.unended("trams")]


def test_killed_anywhere_and_run_again_it_ends_like_an_undisturbed_run(
    yard: Yard, run: list[Training], postgres: PostgresServer
) -> None:
    at_start = state(yard)
    with restoring(yard) as restore:
        statements = logged_by_the_server(
            yard, postgres.data_dir / "server.log", lambda fresh: fresh.publish(*run)
        )
        expected = state(yard)
        assert expected["serving.activation"] != at_start["serving.activation"]
        restore()
        steps: list[str] = []
        with each_step(steps.append):
            on_new_connections(yard).publish(*run)
        # a statement that reaches the server by a way that is not interrupted here would have no kill point
        assert spoken(steps) == statements
        assert state(yard) == expected
        seen = []
        # after a step is before the next one
        for point in range(len(steps) + 1):
            restore()
            assert state(yard) == at_start
            killed = in_child(lambda point=point: publish_killed_at(yard, run, point))
            assert killed == -signal.SIGKILL, f"step {point} was not reached"
            seen.append(state(yard))
            yard.publish(*run)
            assert state(yard) == expected, (
                f"killed before step {point} of {len(steps)}: {steps[point - 1 :][:2]}"
            )
    # the kills did fall before, between and after the two commits
    assert any(same(left, at_start, "serving.", "analytics.") for left in seen)
    assert any(same(left, expected, "serving.") and same(left, at_start, "analytics.") for left in seen)
    assert expected in seen


def same(left: dict[str, Any], right: dict[str, Any], *schemas: str) -> bool:
    return all(left[table] == right[table] for table in left if table.startswith(schemas))


def test_an_error_inside_either_transaction_leaves_nothing_of_it(yard: Yard, run: list[Training]) -> None:
    before, seen = state(yard), []
    for point in itertools.count():
        try:
            with each_step(raise_at(point)):
                yard.publish(*run)
            break
        except Interruption:
            seen.append(state(yard))
    after = state(yard)
    for left in seen:
        for schema in ("serving.", "analytics."):
            rows = {
                table: left[table]
                for table in left
                if table.startswith(schema) and isinstance(left[table], list)
            }
            assert rows in ({table: whole[table] for table in rows} for whole in (before, after))
    assert point > 10


class Interruption(BaseException):
    """Not an Exception: nobody catches it by the way."""


def raise_at(point: int) -> Callable[[str], None]:
    steps = itertools.count()

    def act(_: str) -> None:
        if next(steps) == point:
            raise Interruption

    return act


def publish_killed_at(yard: Yard, run: list[Training], point: int) -> None:
    steps = itertools.count()

    def act(_: str) -> None:
        if next(steps) == point:
            os.kill(os.getpid(), signal.SIGKILL)

    with each_step(act):
        on_new_connections(yard).publish(*run)
    os.kill(os.getpid(), signal.SIGKILL)


def on_new_connections(yard: Yard, options: str = "") -> Yard:
    """Connections do not survive a fork, and making them takes steps of its own."""
    urls = [database.url.render_as_string(hide_password=False) for database in (yard.app, yard.analytics)]
    app, analytics = (engine(url + options) for url in urls)
    return replace(yard, app=app, analytics=analytics)


@contextmanager
def each_step(act: Callable[[str], None]) -> Iterator[None]:
    """Call ``act(statement)`` before every statement, COPY, commit and rollback that goes to a database."""
    wrapped: list[tuple[Any, str]] = [(psycopg.Cursor, name) for name in ("execute", "executemany", "copy")]
    wrapped += [(psycopg.Connection, name) for name in ("commit", "rollback")]
    originals = [getattr(owner, name) for owner, name in wrapped]

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(target: Any, *args: Any, **kwargs: Any) -> Any:
            words = args[0] if args else original.__name__.upper()
            act(words.as_string(None) if isinstance(words, Composable) else str(words))
            return original(target, *args, **kwargs)

        return call

    try:
        for (owner, name), original in zip(wrapped, originals, strict=True):
            setattr(owner, name, wrap(original))
        yield
    finally:
        for (owner, name), original in zip(wrapped, originals, strict=True):
            setattr(owner, name, original)


def logged_by_the_server(yard: Yard, log: Path, call: Callable[[Yard], object]) -> list[str]:
    """The first words of each statement that the server's own log has of a call on new connections."""
    fresh = on_new_connections(yard, "?options=-c%20log_statement%3Dall")
    start = log.stat().st_size
    call(fresh)
    with log.open("rb") as file:
        file.seek(start)
        entries = file.read().decode()
    # an entry's further lines start with a tab
    return spoken(re.findall(r"LOG:  (?:statement|execute [^:]*): (.*(?:\n\t.*)*)", entries))


def spoken(statements: list[str]) -> list[str]:
    """The first words of statements, without what opens and closes transactions that changed nothing.

    The savepoint is the driver's own, around its look for a type when it connects.
    """
    plain = [re.sub(r"%\(\w+\)s(?:::\w+)?|\$\d+(?:::\w+)?", "?", statement) for statement in statements]
    first = [" ".join(statement.split()[:3]).upper() for statement in plain]
    return [words for words in first if words.split()[:1] not in QUIET]


def in_child(call: Callable[[], None]) -> int:
    """Run it in a forked process; its exit code, negative for the signal that killed it."""
    child = os.fork()
    if child == 0:
        try:
            call()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


QUIET = ([], ["BEGIN"], ["ROLLBACK"], ["SAVEPOINT"], ["RELEASE"])
TIMES = (
    *("recorded_at", "published_at", "decided_at", "activated_at", "pinned_at", "ended_at"),
    # of the time between a launch and its end
    *("cluster_seconds", "cost_usd"),
)
OURS = {"app": ("operations", "serving"), "analytics": ("analytics",)}


def databases(yard: Yard) -> list[tuple[Engine, tuple[str, ...]]]:
    return [(yard.app, OURS["app"]), (yard.analytics, OURS["analytics"])]


def tables(connection: Connection, schemas: tuple[str, ...]) -> list[str]:
    """Every table that holds rows of ours, whoever made it."""
    query = (
        "SELECT schemaname || '.' || tablename FROM pg_tables "
        "WHERE schemaname = ANY(:schemas) AND tablename <> 'trainyard_version' ORDER BY 1"
    )
    return list(connection.execute(text(query), {"schemas": list(schemas)}).scalars())


def sequences(connection: Connection, schemas: tuple[str, ...]) -> dict[str, int]:
    query = (
        "SELECT schemaname || '.' || sequencename, coalesce(last_value, 0) FROM pg_sequences "
        "WHERE schemaname = ANY(:schemas)"
    )
    return {row[0]: row[1] for row in connection.execute(text(query), {"schemas": list(schemas)})}


def state(yard: Yard) -> dict[str, Any]:
    """Every row of every table, ids and sequences included, without the times at which rows were written."""
    found: dict[str, Any] = {}
    for database, schemas in databases(yard):
        with database.connect() as connection:
            for table in tables(connection, schemas):
                rows = connection.execute(
                    text(f"SELECT (to_jsonb(t) - CAST(:times AS text[]))::text FROM {table} AS t"),
                    {"times": list(TIMES)},
                ).scalars()
                found[table] = sorted(rows)
            found |= sequences(connection, schemas)
    return found


@contextmanager
def restoring(yard: Yard) -> Iterator[Callable[[], None]]:
    """Keep every row as it is now; what is yielded brings them back."""
    kept: dict[str, dict[str, int]] = {}
    for database, schemas in databases(yard):
        with database.begin() as connection:
            kept[str(schemas)] = sequences(connection, schemas)
            for table in tables(connection, schemas):
                connection.execute(text(f"CREATE TABLE public.{_copy(table)} AS TABLE {table}"))
    try:
        yield lambda: _restore(yard, kept)
    finally:
        for database, schemas in databases(yard):
            with database.begin() as connection:
                for table in tables(connection, schemas):
                    connection.execute(text(f"DROP TABLE IF EXISTS public.{_copy(table)}"))


def _copy(table: str) -> str:
    return table.replace(".", "_")


def _restore(yard: Yard, kept: dict[str, dict[str, int]]) -> None:
    columns_of = (
        "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute "
        "WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 AND attgenerated = '' AND NOT attisdropped"
    )
    for database, schemas in databases(yard):
        with database.begin() as connection:
            # the triggers that refuse it sleep while rows are replicated
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            names = tables(connection, schemas)
            connection.execute(text(f"TRUNCATE {', '.join(names)}"))
            for table in names:
                columns = connection.execute(text(columns_of), {"table": table}).scalar_one()
                connection.execute(
                    text(
                        f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE "
                        f"SELECT {columns} FROM public.{_copy(table)}"
                    )
                )
            for name, last in kept[str(schemas)].items():
                connection.execute(
                    text("SELECT setval(:name, greatest(:last, 1), :last > 0)"), {"name": name, "last": last}
                )
