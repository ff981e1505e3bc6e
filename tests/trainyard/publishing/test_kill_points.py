"""publish_run killed by SIGKILL before each of its statements and commits and after the last, then run again."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import text

from trainyard.databases import engine
from trainyard.training import Training

if TYPE_CHECKING:
    from conftest import Yard

TODAY = date(2026, 11, 22)


@pytest.fixture
def run(yard: Yard) -> list[Training]:
    """A run in which one model is new, one replaces an older version, one is a backfill, one failed."""
    yesterday, tomorrow = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
    yard.publish(yard.succeeded("hotels", run="before", data_date=yesterday))
    yard.publish(yard.succeeded("cars", run="before", data_date=tomorrow))
    failed = yard.training("trains")
    yard.attempt(
        failed, outcome="failed", failure_code="spot_lost", failure_reason="The spot node was taken."
    )
    return [yard.succeeded("cars"), yard.succeeded("flights"), yard.succeeded("hotels"), failed]


def test_killed_anywhere_and_run_again_it_ends_like_an_undisturbed_run(
    yard: Yard, run: list[Training]
) -> None:
    at_start = state(yard)
    save(yard)
    undisturbed = on_new_connections(yard)
    steps = counting_steps(lambda: undisturbed.publish(*run))
    expected = state(yard)
    assert expected["live"] != at_start["live"]
    seen = []
    # after a step is before the next one
    for point in range(steps + 1):
        restore(yard)
        assert state(yard) == at_start
        killed = in_child(lambda point=point: publish_killed_at(yard, run, point))
        assert killed == -signal.SIGKILL, f"step {point} was not reached"
        seen.append(state(yard))
        yard.publish(*run)
        assert state(yard) == expected, f"killed before step {point} of {steps}"
    # the kills did fall before, between and after the two commits
    assert at_start in seen
    assert any(left["live"] == expected["live"] and left["training"] == at_start["training"] for left in seen)
    assert expected in seen


def test_an_error_inside_either_transaction_leaves_nothing_of_it(yard: Yard, run: list[Training]) -> None:
    before = state(yard)
    for step in itertools.count():
        try:
            with each_step(raise_at(step)):
                yard.publish(*run)
            break
        except Interruption:
            now = state(yard)
            assert len(now["versions"]) - len(before["versions"]) in (0, 3)
            assert len(now["activations"]) - len(before["activations"]) in (0, 2)
            assert now["training"] == before["training"]
    assert step > 10


class Interruption(BaseException):
    """Not an Exception: nobody catches it by the way."""


def raise_at(point: int) -> Callable[[int], None]:
    def act(step: int) -> None:
        if step == point:
            raise Interruption

    return act


def publish_killed_at(yard: Yard, run: list[Training], point: int) -> None:
    def act(step: int) -> None:
        if step == point:
            os.kill(os.getpid(), signal.SIGKILL)

    with each_step(act):
        on_new_connections(yard).publish(*run)
    os.kill(os.getpid(), signal.SIGKILL)


def on_new_connections(yard: Yard) -> Yard:
    """Connections do not survive a fork, and making them takes steps of its own."""
    urls = [database.url.render_as_string(hide_password=False) for database in (yard.app, yard.analytics)]
    app, analytics = map(engine, urls)
    return replace(yard, app=app, analytics=analytics)


@contextmanager
def each_step(act: Callable[[int], None]) -> Iterator[None]:
    """Call ``act(step)`` before every statement, COPY and commit that goes to a database."""
    steps = 0
    wrapped = [(psycopg.Cursor, "execute"), (psycopg.Cursor, "executemany"), (psycopg.Cursor, "copy")]
    wrapped.append((psycopg.Connection, "commit"))
    originals = [getattr(owner, name) for owner, name in wrapped]

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal steps
            step, steps = steps, steps + 1
            act(step)
            return original(*args, **kwargs)

        return call

    try:
        for (owner, name), original in zip(wrapped, originals, strict=True):
            setattr(owner, name, wrap(original))
        yield
    finally:
        for (owner, name), original in zip(wrapped, originals, strict=True):
            setattr(owner, name, original)


def counting_steps(call: Callable[[], object]) -> int:
    steps = 0

    def act(step: int) -> None:
        nonlocal steps
        steps = max(steps, step + 1)

    with each_step(act):
        call()
    return steps


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


TABLES = {
    "serving": ("model_version", "activation"),
    "analytics": ("training", "metric", "curve"),
}


def save(yard: Yard) -> None:
    """Keep what publishing writes to, for restore."""
    for database, schema in ((yard.app, "serving"), (yard.analytics, "analytics")):
        with database.begin() as connection:
            for table in TABLES[schema]:
                connection.execute(text(f"CREATE TABLE public.{table} AS TABLE {schema}.{table}"))


def restore(yard: Yard) -> None:
    columns_of = (
        "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute "
        "WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 AND attgenerated = ''"
    )
    for database, schema in ((yard.app, "serving"), (yard.analytics, "analytics")):
        with database.begin() as connection:
            # the triggers that refuse it sleep while rows are replicated
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            names = [f"{schema}.{table}" for table in TABLES[schema]]
            connection.execute(text(f"TRUNCATE {', '.join(names)}"))
            for table in TABLES[schema]:
                columns = connection.execute(text(columns_of), {"table": f"{schema}.{table}"}).scalar_one()
                connection.execute(
                    text(
                        f"INSERT INTO {schema}.{table} ({columns}) OVERRIDING SYSTEM VALUE "
                        f"SELECT {columns} FROM public.{table}"
                    )
                )


@pytest.fixture(autouse=True)
def nothing_saved(yard: Yard) -> Iterator[None]:
    yield
    for database, schema in ((yard.app, "serving"), (yard.analytics, "analytics")):
        with database.begin() as connection:
            for table in TABLES[schema]:
                connection.execute(text(f"DROP TABLE IF EXISTS public.{table}"))


def state(yard: Yard) -> dict[str, Any]:
    """All that a reader can see but times; versions by their training, since a killed insert leaves a gap in ids."""
    training_of = dict(yard.rows("SELECT version_id, training_id FROM serving.model_version"))
    no_times = "- 'recorded_at' - 'version_id'"
    trainings = yard.rows(f"SELECT (to_jsonb(t) {no_times})::text, version_id FROM analytics.training t")
    return {
        "live": yard.live(),
        "versions": sorted(
            yard.rows(
                "SELECT (to_jsonb(v) - 'version_id' - 'published_at')::text FROM serving.model_version v"
            )
        ),
        "activations": [
            (training_of[version], training_of.get(replaced), *rest)
            for version, replaced, *rest in yard.rows(
                "SELECT version_id, replaced_version_id, actor, reason FROM serving.activation ORDER BY activation_id"
            )
        ],
        "attempts": sorted(yard.rows("SELECT a::text FROM operations.attempt a")),
        "training": sorted((row, training_of.get(version)) for row, version in trainings),
        "metric": sorted(yard.rows("SELECT m::text FROM analytics.metric m")),
        "curve": sorted(yard.rows("SELECT c::text FROM analytics.curve c")),
    }
