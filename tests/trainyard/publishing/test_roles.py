"""A login that may only read what serves, and one that may publish: what each can do, and what each cannot."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import text

from trainyard.databases import ANALYTICS, APPLICATION, engine, migrate, upgrade_analytics_db, upgrade_app_db
from trainyard.publishing.rollback import ModelName, roll_back

if TYPE_CHECKING:
    from conftest import Yard


def url_of(yard: Yard, user: str) -> str:
    return yard.app.url.set(username=user, drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture
def login(yard: Yard) -> Iterator[str]:
    """A login without any right of its own."""
    name = f"login_{uuid4().hex[:8]}"
    with yard.app.begin() as connection:
        connection.execute(text(f"CREATE ROLE {name} LOGIN"))
    yield name
    with yard.app.begin() as connection:
        connection.execute(text(f"DROP ROLE {name}"))


@pytest.fixture
def reader(yard: Yard, login: str) -> Iterator[psycopg.Connection]:
    with yard.app.begin() as connection:
        connection.execute(text(f"GRANT trainyard_reader TO {login}"))
    with psycopg.connect(url_of(yard, login), autocommit=True) as connection:
        yield connection


def test_a_reader_sees_what_serves_and_nothing_else(yard: Yard, reader: psycopg.Connection) -> None:
    yard.publish(yard.succeeded("hotels"))
    assert reader.execute("SELECT model, version_id FROM serving.live_model").fetchall() == [("hotels", 1)]
    for table in ("serving.model_version", "serving.activation", "serving.decision", "serving.pin"):
        with pytest.raises(InsufficientPrivilege):
            reader.execute(f"TABLE {table}")
    for statement in (
        "TABLE operations.attempt",
        "SELECT serving.empty_artifacts('demo', 'hotels', 1)",
    ):
        with pytest.raises(InsufficientPrivilege):
            reader.execute(statement)


@pytest.mark.parametrize(
    ("event", "function"),
    [
        ("AFTER INSERT ON mine REFERENCING NEW TABLE AS added FOR EACH STATEMENT", "add_served"),
        ("AFTER INSERT ON mine FOR EACH ROW", "empty_artifact"),
        ("BEFORE UPDATE ON mine FOR EACH ROW", "only_emptied"),
    ],
)
def test_a_reader_cannot_hang_the_owner_s_triggers_on_a_table_of_its_own(
    reader: psycopg.Connection, event: str, function: str
) -> None:
    with reader.transaction(force_rollback=True):
        reader.execute(
            "CREATE TEMPORARY TABLE mine (portfolio text, model text, version_id bigint, keep integer)"
        )
        with pytest.raises(InsufficientPrivilege, match=function):
            reader.execute(f"CREATE TRIGGER odd {event} EXECUTE FUNCTION serving.{function}()")


def test_nobody_is_given_the_owner_s_rights_by_default(yard: Yard) -> None:
    query = """
        SELECT proname FROM pg_proc
        WHERE pronamespace::regnamespace::text IN ('operations', 'serving', 'analytics')
          AND prosecdef AND has_function_privilege('public', oid, 'EXECUTE')
    """
    for database in (yard.app, yard.analytics):
        with database.connect() as connection:
            assert connection.execute(text(query)).scalars().all() == []


def test_a_publisher_publishes_and_rolls_back_and_can_rewrite_nothing(yard: Yard, login: str) -> None:
    with yard.app.begin() as connection:
        connection.execute(text(f"GRANT trainyard_publisher TO {login}"))
    app = engine(url_of(yard, login))
    analytics = engine(url_of(yard, login).replace("publishing_app", "publishing_analytics"))
    publisher = replace(yard, app=app, analytics=analytics)
    upgrade_app_db(app)
    upgrade_analytics_db(analytics)
    for run in ("run-1", "run-2"):
        (outcome,) = publisher.publish(publisher.succeeded("hotels", run=run)).outcomes
        assert outcome.status == "activated"
    roll_back(app, ModelName("demo", "hotels"), actor="ada", reason="worse")
    with app.begin() as connection:
        connection.execute(text("SELECT serving.empty_artifacts('demo', 'hotels', 1)"))
    for statement in (
        "UPDATE serving.model_version SET threshold = 0.9",
        "DELETE FROM serving.activation",
        "TRUNCATE serving.pin",
        "ALTER TABLE serving.model_version DISABLE TRIGGER ALL",
        "DROP VIEW serving.live_model",
    ):
        with pytest.raises(Exception, match=r"permission denied|must be owner"), app.begin() as connection:
            connection.execute(text(statement))
    app.dispose()
    analytics.dispose()


def test_everything_that_migrations_make_is_a_publisher_s_and_their_version_is_not_to_be_changed(
    yard: Yard,
) -> None:
    query = """
        SELECT relname FROM pg_class
        WHERE relnamespace::regnamespace::text IN ('operations', 'serving', 'analytics')
          AND relkind IN ('r', 'v', 'S')
          AND NOT CASE relkind WHEN 'S' THEN has_sequence_privilege('trainyard_publisher', oid, 'UPDATE')
                  ELSE has_table_privilege('trainyard_publisher', oid, 'SELECT') END
    """
    changes = (
        "SELECT has_table_privilege('trainyard_publisher', '{}.trainyard_version', 'INSERT, UPDATE, DELETE')"
    )
    for database, schema in ((yard.app, "operations"), (yard.analytics, "analytics")):
        with database.connect() as connection:
            assert connection.execute(text(query)).scalars().all() == []
            assert connection.execute(text(changes.format(schema))).scalar_one() is False


def test_a_connection_that_may_not_make_roles_says_what_to_run(
    database_url: str,
    yard: Yard,
    login: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trainyard.roles.READER", "trainyard_absent_reader")
    with psycopg.connect(database_url, autocommit=True) as admin:
        for schema in ("operations", "serving"):
            admin.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {login}")
    name = database_url.rpartition("/")[2]
    database = engine(url_of(yard, login).replace("publishing_app", name))
    with caplog.at_level(logging.WARNING, logger="trainyard.databases"):
        upgrade_app_db(database)
    assert "CREATE ROLE trainyard_absent_reader NOLOGIN" in caplog.text
    assert "GRANT SELECT ON serving.live_model TO trainyard_absent_reader;" in caplog.text
    database.dispose()
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(f"DROP OWNED BY {login} CASCADE")


def test_rights_go_with_the_schemas_and_the_roles_stay(database_url: str) -> None:
    database = engine(database_url)
    upgrade_app_db(database)
    upgrade_analytics_db(database)
    migrate(database, history=APPLICATION, revision="base")
    migrate(database, history=ANALYTICS, revision="base")
    with database.connect() as connection:
        rights = (
            "SELECT nspname FROM pg_namespace WHERE nspacl::text LIKE '%trainyard\\_%=%' UNION ALL "
            "SELECT relname FROM pg_class WHERE relacl::text LIKE '%trainyard\\_%=%' UNION ALL "
            "SELECT 'default' FROM pg_default_acl WHERE defaclacl::text LIKE '%trainyard\\_publisher%'"
        )
        assert connection.exec_driver_sql(rights.replace("%", "%%")).all() == []
        roles = "SELECT count(*) FROM pg_roles WHERE rolname IN ('trainyard_reader', 'trainyard_publisher')"
        assert connection.execute(text(roles)).scalar_one() == 2
    database.dispose()
