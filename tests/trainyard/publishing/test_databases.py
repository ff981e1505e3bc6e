"""Engines from every way of writing a URL, and schemas that go up, down and up again beside other people's."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from trainyard.databases import (
    ANALYTICS,
    APPLICATION,
    DatabaseError,
    History,
    engine,
    migrate,
    upgrade_analytics_db,
    upgrade_app_db,
)

if TYPE_CHECKING:
    from conftest import Yard

HISTORIES = [APPLICATION, ANALYTICS]
SPLIT_METRICS = "SELECT * FROM analytics.split_metrics"


def head(history: History) -> str:
    """The last revision that the package carries."""
    return str(ScriptDirectory.from_config(history.config()).get_current_head())


def schema_of(database: Engine) -> list[tuple[str, ...]]:
    """Every object of ours, its definition and its comment."""
    query = """
        SELECT c.relname, c.relkind::text, coalesce(a.attname, ''), coalesce(format_type(a.atttypid, a.atttypmod), ''),
               coalesce(col_description(c.oid, a.attnum), '')
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE n.nspname IN ('operations', 'serving', 'analytics') AND c.relname !~ 'trainyard_version'
        UNION ALL
        SELECT conname, 'constraint', '', pg_get_constraintdef(oid), '' FROM pg_constraint
        WHERE connamespace::regnamespace::text IN ('operations', 'serving', 'analytics')
          AND conname !~ 'trainyard_version'
        ORDER BY 1, 2, 3
    """
    with database.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


@pytest.mark.parametrize("history", HISTORIES)
def test_filled_databases_go_down_and_up_again(yard: Yard, history: History) -> None:
    yard.publish(yard.succeeded("hotels"), yard.training("flights"))
    database = yard.app if history is APPLICATION else yard.analytics
    before = schema_of(database)
    assert len(before) > 40
    migrate(database, history=history, revision="base")
    assert schema_of(database) == []
    migrate(database, history=history)
    assert schema_of(database) == before


def test_metrics_move_between_rows_and_arrays_and_who_reads_them_goes_on(yard: Yard) -> None:
    names = {"rows": 9, "auc": 0.95, "Auc": 0.5, 'a, "b" \\': 1e-300, "NULL": 1, "{x}": 2, "größe": 3}
    metrics = {
        "metrics": {"test": names, "validation": {"auc": 1}, "train": {}},
        "intervals": {"test": {"auc": {"value": 0.95, "low": 0.9, "high": 0.97, "level": 0.95}}},
    }
    hotels = yard.succeeded("hotels", metrics=metrics)
    yard.publish(hotels, yard.succeeded("flights"))
    kept = yard.rows(f"{SPLIT_METRICS} ORDER BY 1, 2, 3")
    told = {row[2]: row for row in kept if row[0] == hotels.training_id}
    assert [*told] == ["test", "validation"]
    assert told["test"][3] == sorted(names)
    with reader_of_metrics(yard) as read:
        before = read()
        of_hotels = [
            tuple(row)[3:]
            for row in before[0]
            if (row.training_id, row.split) == (hotels.training_id, "test")
        ]
        nothing = (None, None, None, None)
        assert {name: value for name, value, *_ in of_hotels} == names
        assert ("auc", 0.95, None, 0.9, 0.97, 0.95) in of_hotels
        assert ("NULL", 1.0, *nothing) in of_hotels
        assert all(before)
        assert before[-2:] == [[(["security_barrier=true"],)], [(True,)]]
        try:
            migrate(yard.analytics, history=ANALYTICS, revision="0005")
            assert read() == before
            rights = "SELECT has_table_privilege('trainyard_publisher', 'analytics.metric', '{}')"
            assert [
                yard.rows(rights.format(right))
                for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
            ] == [[(True,)]] * 4 + [[(False,)]]
        finally:
            migrate(yard.analytics, history=ANALYTICS)
        assert read() == before
    assert yard.rows(f"{SPLIT_METRICS} ORDER BY 1, 2, 3") == kept


@contextmanager
def reader_of_metrics(yard: Yard) -> Iterator[Callable[[], list[Any]]]:
    """Reads what another's role reads of metrics, by rights on relations and columns and by a view of its own."""
    role = f'"A reader {uuid.uuid4().hex[:12]}"'
    with yard.analytics.begin() as connection:
        for statement in (
            f"CREATE ROLE {role}",
            f"GRANT USAGE ON SCHEMA analytics TO {role}",
            f"GRANT SELECT ON analytics.latest_metrics, analytics.metric_trend TO {role}",
            "CREATE VIEW public.theirs WITH (security_barrier=true) AS"
            " SELECT name, max(value) FROM analytics.metric WHERE name <> ':auc' GROUP BY name",
            f"GRANT SELECT ON public.theirs TO {role}",
            f"GRANT SELECT (training_id, attempt, split, name, value, standard_error) ON analytics.metric TO {role}",
            f"GRANT SELECT (low, high, level) ON analytics.metric TO {role} WITH GRANT OPTION",
        ):
            connection.execute(text(statement.replace(":", r"\:")))

    def read() -> list[Any]:
        with yard.analytics.begin() as connection:
            connection.execute(text(f"SET LOCAL ROLE {role}"))
            return [
                *(
                    connection.execute(text(f"SELECT * FROM {view} ORDER BY 1, 2, 3, 4, 5, 6, 7")).all()
                    for view in ("analytics.metric", "analytics.latest_metrics", "analytics.metric_trend")
                ),
                connection.execute(text("SELECT * FROM public.theirs ORDER BY name")).all(),
                connection.execute(
                    text("SELECT reloptions FROM pg_class WHERE oid = 'public.theirs'::regclass")
                ).all(),
                connection.execute(
                    text("SELECT has_column_privilege('analytics.metric', 'low', 'SELECT WITH GRANT OPTION')")
                ).all(),
            ]

    try:
        yield read
    finally:
        with yard.analytics.begin() as connection:
            connection.execute(text("DROP VIEW public.theirs"))
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))


def test_a_step_down_leaves_what_a_fresh_database_has_there_and_its_owner_owns_it(database_url: str) -> None:
    user = f"user_{database_url.rpartition('/')[2]}"
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {user} LOGIN")
        admin.execute(f"CREATE SCHEMA analytics AUTHORIZATION {user}")
    database, as_admin = engine(database_url.replace("trainyard@", f"{user}@")), engine(database_url)
    owners = "SELECT DISTINCT tableowner FROM (TABLE pg_tables) AS t WHERE schemaname = 'analytics'"
    with database.begin() as connection:
        config = ANALYTICS.config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
    fresh = schema_of(database)
    migrate(database, history=ANALYTICS)
    assert schema_of(database) != fresh
    migrate(database, history=ANALYTICS, revision="0005")
    assert schema_of(database) == fresh
    # another login that may, too
    migrate(as_admin, history=ANALYTICS)
    with database.connect() as connection:
        assert connection.execute(text(owners)).scalars().all() == [user]
        assert connection.execute(text("SELECT count(*) FROM analytics.latest_metrics")).scalar_one() == 0
    for each in (database, as_admin):
        each.dispose()
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(f"DROP OWNED BY {user} CASCADE")
        admin.execute(f"DROP ROLE {user}")


def test_one_step_down_keeps_the_ledger(yard: Yard) -> None:
    yard.publish(yard.succeeded("hotels"))
    migrate(yard.app, history=APPLICATION, revision="0001")
    assert yard.rows("SELECT count(*) FROM operations.attempt") == [(1,)]
    upgrade_app_db(yard.app)
    assert yard.rows("SELECT count(*) FROM serving.model_version") == [(0,)]


def test_both_histories_live_in_one_database_beside_others(database_url: str) -> None:
    database = engine(database_url)
    with database.begin() as connection:
        for statement in (
            "CREATE TABLE public.alembic_version (version_num text)",
            "INSERT INTO public.alembic_version VALUES ('theirs')",
            "CREATE SCHEMA analytics",
            "CREATE TABLE analytics.alembic_version (version_num text)",
            "INSERT INTO analytics.alembic_version VALUES ('theirs too')",
            "CREATE TABLE analytics.sales (day date)",
        ):
            connection.execute(text(statement))
    upgrade_app_db(database)
    upgrade_analytics_db(database)
    with database.begin() as connection:
        # theirs too, made later
        connection.execute(text("CREATE TABLE analytics.orders (day date)"))
        theirs = "SELECT relacl FROM pg_class WHERE relname IN ('alembic_version', 'sales', 'orders')"
        assert [rights for (rights,) in connection.execute(text(theirs)) if rights is not None] == []
    migrate(database, history=APPLICATION, revision="base")
    migrate(database, history=ANALYTICS, revision="base")
    with database.connect() as connection:
        theirs = "TABLE public.alembic_version UNION TABLE analytics.alembic_version"
        assert set(connection.execute(text(theirs)).scalars()) == {"theirs", "theirs too"}
        assert (
            connection.execute(text("SELECT to_regclass('analytics.sales')")).scalar_one()
            == "analytics.sales"
        )
    database.dispose()


def test_many_threads_and_processes_that_upgrade_at_once_make_one_upgrade(database_url: str) -> None:
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            try:
                upgrade_in_threads(database_url)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0, 0]
    with psycopg.connect(database_url) as connection:
        assert connection.execute("TABLE operations.trainyard_version").fetchall() == [(head(APPLICATION),)]
        assert connection.execute("TABLE analytics.trainyard_version").fetchall() == [(head(ANALYTICS),)]


def upgrade_in_threads(database_url: str) -> None:
    database = engine(database_url)
    with ThreadPoolExecutor(4) as threads:
        upgrades = (upgrade_app_db, upgrade_analytics_db) * 2
        for upgrade in [threads.submit(upgrade, database) for upgrade in upgrades]:
            upgrade.result()


def test_at_head_an_upgrade_waits_for_nobody(yard: Yard) -> None:
    with yard.app.begin() as connection:
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended('trainyard.migrate.application', 0))")
        )
        connection.execute(text("LOCK TABLE serving.model_version IN ACCESS SHARE MODE"))
        upgrade_app_db(yard.app)


def test_a_user_who_may_not_create_schemas_upgrades_in_schemas_made_for_them(database_url: str) -> None:
    name = database_url.rpartition("/")[2]
    user = f"user_{name}"
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {user} LOGIN")
        admin.execute(f"CREATE SCHEMA operations AUTHORIZATION {user}")
        admin.execute(f"CREATE SCHEMA serving AUTHORIZATION {user}")
    database = engine(database_url.replace("trainyard@", f"{user}@"))
    upgrade_app_db(database)
    database.dispose()
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(f"DROP OWNED BY {user} CASCADE")
        admin.execute(f"DROP ROLE {user}")


def test_a_database_of_a_later_package_is_left_alone(yard: Yard) -> None:
    last = head(APPLICATION)
    with yard.app.begin() as connection:
        connection.execute(text("UPDATE operations.trainyard_version SET version_num = '0099'"))
    try:
        with pytest.raises(DatabaseError, match=f"'0099', unknown to this trainyard, which ends at '{last}'"):
            upgrade_app_db(yard.app)
    finally:
        with yard.app.begin() as connection:
            connection.execute(
                text("UPDATE operations.trainyard_version SET version_num = :last"), {"last": last}
            )


def test_everything_of_ours_has_a_comment(yard: Yard) -> None:
    query = """
        SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('operations', 'serving', 'analytics') AND c.relkind IN ('r', 'v')
          AND c.relname <> 'trainyard_version' AND obj_description(c.oid) IS NULL
    """
    for database in (yard.app, yard.analytics):
        with database.connect() as connection:
            assert connection.execute(text(query)).scalars().all() == []


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_way_of_writing_a_url_connects(database_url: str, scheme: str) -> None:
    database = engine(database_url.replace("postgresql", scheme))
    with database.connect() as connection:
        assert connection.execute(text("SHOW application_name")).scalar_one() == "trainyard"
    database.dispose()


def test_an_airflow_connection_with_a_number_in_its_extra_connects(database_url: str) -> None:
    database = engine(f"{database_url}?__extra__=%7B%22keepalives_idle%22%3A+30%7D")
    with database.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    database.dispose()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:s3cr@t@127.0.0.1:5432/app",
        "postgresql://ad@a:s3cr@t@127.0.0.1/app",
        "postgresql://ada:s3cr@t@127.0.0.1:s3cr@t/app",
        "postgresql://ada:s3cr@t@/app?__extra__=s3cr@t",
        "postgresql://ada:right@127.0.0.1/app?__extra__=s3cr@t",
        "s3cr@t",
        "mysql://ada:s3cr@t@127.0.0.1/app",
        "mysql://ada:s3cr%40t@127.0.0.1/app",
    ],
)
def test_a_malformed_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(DatabaseError, match=r"postgresql://user:password@host:5432/database") as refused:
        engine(url)
    error: BaseException | None = refused.value
    while error is not None:
        assert "s3cr" not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_a_refused_login_does_not_show_the_password(database_url: str) -> None:
    port = database_url.rpartition(":")[2].partition("/")[0]
    with pytest.raises(Exception, match="does not exist") as refused:
        engine(f"postgresql://trainyard:s3cr%40t@127.0.0.1:{port}/nowhere").connect()
    assert "s3cr" not in str(refused.value)
