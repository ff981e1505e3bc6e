"""A database that restarts, or cuts the connection, at any statement of publishing: the second run puts it right."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from tests.trainyard.publishing.test_kill_points import each_step, restoring, state
from trainyard.databases import engine, upgrade_analytics_db, upgrade_app_db
from trainyard.laptop.postgres import PostgresServer
from trainyard.training import Training

if TYPE_CHECKING:
    from conftest import Yard

TODAY = date(2026, 11, 22)


@pytest.fixture
def run(yard: Yard) -> list[Training]:
    yard.publish(yard.succeeded("hotels", run="before", data_date=TODAY - timedelta(days=1)))
    return [yard.succeeded("flights"), yard.succeeded("hotels"), yard.unended("trams")]


def at_step(point: int, act: Callable[[], None]) -> Callable[[str], None]:
    steps = itertools.count()

    def step(_: str) -> None:
        if next(steps) == point:
            act()

    return step


def test_a_connection_that_is_cut_anywhere_leaves_nothing_half_done(yard: Yard, run: list[Training]) -> None:
    def cut() -> None:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'trainyard'"
            )

    admin = yard.app.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with restoring(yard) as restore:
        steps: list[str] = []
        with each_step(steps.append):
            yard.publish(*run)
        expected, broken = state(yard), 0
        for point in range(len(steps)):
            restore()
            with each_step(at_step(point, cut)):
                try:
                    yard.publish(*run)
                except SQLAlchemyError:
                    broken += 1
            yard.publish(*run)
            assert state(yard) == expected, f"cut before {steps[point]}"
    # the first statements on a pooled connection are tried again by themselves
    assert broken > 5


@pytest.fixture
def own_server(
    tmp_path: Path, free_ports: Callable[[int], list[int]], yard: Yard
) -> Iterator[tuple[PostgresServer, Yard]]:
    """A PostgreSQL of the test's own, since it is stopped in the middle."""
    server = PostgresServer(data_dir=tmp_path / "postgres", port=free_ports(1)[0])
    server.initialise()
    server.start()
    server.create_databases("app", "analytics")
    app, analytics = engine(server.url("app")), engine(server.url("analytics"))
    upgrade_app_db(app)
    upgrade_analytics_db(analytics)
    yield server, replace(yard, app=app, analytics=analytics)
    app.dispose()
    analytics.dispose()
    with suppress(Exception):
        server.stop(mode="immediate")


@pytest.mark.parametrize(
    "words",
    [
        *("UPDATE operations.attempt", "COPY serving.model_version", "COPY serving.activation"),
        *("COPY analytics.split_metrics", "COMMIT"),
    ],
)
def test_a_database_that_restarts_in_the_middle_is_published_to_by_the_next_try(
    own_server: tuple[PostgresServer, Yard], words: str
) -> None:
    server, yard = own_server
    run = [yard.succeeded("flights"), yard.unended("hotels")]
    restarted = []

    def step(statement: str) -> None:
        if statement.lstrip().startswith(words) and not restarted:
            restarted.append(statement)
            # as when the machine is lost: nothing is written down on the way
            server.stop(mode="immediate")
            server.start()

    with each_step(step), pytest.raises(OperationalError):
        yard.publish(*run)
    assert restarted
    report = yard.publish(*run)
    assert [outcome.status for outcome in report.outcomes] == ["activated", "activated"]
    assert yard.rows("SELECT version_id, activation_id FROM serving.live_model ORDER BY 1") == [
        (1, 1),
        (2, 2),
    ]
    assert yard.rows("SELECT count(*) FROM analytics.training") == [(2,)]


def test_a_database_that_is_down_is_an_error_that_airflow_tries_again(
    own_server: tuple[PostgresServer, Yard],
) -> None:
    server, yard = own_server
    run = [yard.succeeded("flights")]
    server.stop(mode="immediate")
    with pytest.raises(OperationalError):
        yard.publish(*run)
    server.start()
    assert yard.publish(*run).outcomes[0].status == "activated"
