"""Pruning: what goes, what never goes, and that the database lets nothing else change a version."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from trainyard.portfolio import Portfolio, load_portfolio
from trainyard.publishing.retention import Pruned, prune
from trainyard.publishing.rollback import ModelName, RollbackError, roll_back

if TYPE_CHECKING:
    from conftest import Yard

DAY = date(2026, 11, 20)
HOTELS = ModelName("demo", "hotels")


@pytest.fixture
def portfolio(tmp_path: Path) -> Portfolio:
    """Keeps two versions of hotels, and curves for ten days."""
    (tmp_path / "demo.yaml").write_text(
        """
portfolio: demo
schedule: null
start_date: 2026-11-01
owner: data-science
curve_days: 10
inputs: {train: "s3://bucket/{model}/{data_date}/train/", test: "s3://bucket/{model}/{data_date}/test/"}
output_root: s3://bucket/models
defaults:
  num_features: 240
  keep_versions: 2
  learner: {params: {regParam: 0.1}}
  cluster: {log_uri: s3://bucket/logs/, primary: {instance_type: m7g.large}, core: {instance_type: m7g.large, count: 1}}
models:
  hotels:
"""
    )
    return load_portfolio(tmp_path / "demo.yaml")


@pytest.fixture
def six(yard: Yard) -> Yard:
    """Versions 1 and 2 served, 3 to 6 are backfills that never did."""
    for number, day in enumerate((1, 2, 0, 0, 0, 0), start=1):
        yard.publish(yard.succeeded("hotels", run=f"run-{number}", data_date=DAY + timedelta(days=day)))
    return yard


def emptied(yard: Yard) -> list[int]:
    rows = yard.rows("SELECT version_id FROM serving.model_version WHERE emptied_at IS NOT NULL ORDER BY 1")
    return [row[0] for row in rows]


def test_old_artifacts_that_never_served_are_emptied_and_their_metadata_stays(
    six: Yard, portfolio: Portfolio
) -> None:
    before = six.rows(
        "SELECT to_jsonb(v) - 'artifact' - 'emptied_at' FROM serving.model_version v ORDER BY version_id"
    )
    pruned = prune(six.app, six.analytics, portfolio)
    assert (pruned.versions, pruned.artifact_bytes > 500) == (2, True)
    assert emptied(six) == [3, 4]
    assert before == six.rows(
        "SELECT to_jsonb(v) - 'artifact' - 'emptied_at' FROM serving.model_version v ORDER BY version_id"
    )
    assert prune(six.app, six.analytics, portfolio) == Pruned(0, 0, 0)


def test_a_pinned_version_keeps_its_artifact(six: Yard, portfolio: Portfolio) -> None:
    roll_back(six.app, HOTELS, actor="ada", reason="before the sale", to=3)
    prune(six.app, six.analytics, portfolio)
    assert emptied(six) == [4]


def test_an_emptied_version_cannot_serve(six: Yard, portfolio: Portfolio) -> None:
    prune(six.app, six.analytics, portfolio)
    with pytest.raises(RollbackError, match=r"version 3 of demo.hotels has no artifact any more"):
        roll_back(six.app, HOTELS, actor="ada", reason="too late", to=3)
    with (
        pytest.raises(DBAPIError, match="version 3 has no artifact any more"),
        six.app.begin() as connection,
    ):
        connection.execute(
            text(
                "INSERT INTO serving.activation (version_id, portfolio, model, actor, reason) "
                "VALUES (3, 'demo', 'hotels', 'ada', 'by hand')"
            )
        )


EMPTY = "UPDATE serving.model_version SET artifact = NULL, emptied_at = now() WHERE version_id = {}"
# a function of somebody's own, named like ours
LOOKALIKE = (
    "CREATE SCHEMA IF NOT EXISTS other; CREATE OR REPLACE FUNCTION other.empty_artifacts() RETURNS void LANGUAGE "
    "plpgsql AS $$ BEGIN " + EMPTY.format(3) + "; END $$; SELECT other.empty_artifacts()"
)

# the name of ours, which the server shows where it tells who called
COMMENT = f"DO $$ BEGIN {EMPTY.format(3)} /* PL/pgSQL function serving.empty_artifacts( */; END $$"


@pytest.mark.parametrize("statement", [EMPTY.format(3), EMPTY.format(2), LOOKALIKE, COMMENT])
def test_artifacts_are_emptied_by_the_one_function_only(six: Yard, statement: str) -> None:
    with pytest.raises(DBAPIError, match="is only added to"), six.app.begin() as connection:
        connection.exec_driver_sql(statement)
    assert emptied(six) == []


@pytest.mark.parametrize(
    ("version", "keep", "why"),
    [
        (6, 1, "version 6 is among the newest 1 of its model"),
        (5, 2, "version 5 is among the newest 2 of its model"),
        (1, 2, "version 1 has served or was pinned"),
        (3, 0, "keeps_at_least_one"),
    ],
)
def test_what_is_to_be_kept_is_not_emptied_by_hand_either(
    six: Yard, version: int, keep: int, why: str
) -> None:
    with pytest.raises(DBAPIError, match=why), six.app.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO serving.emptying VALUES ({version}, {keep})")
    assert emptied(six) == []


def test_what_was_emptied_does_not_change_again(six: Yard, portfolio: Portfolio) -> None:
    prune(six.app, six.analytics, portfolio)
    for change in (
        "UPDATE serving.model_version SET emptied_at = 'tomorrow'",
        "DELETE FROM serving.emptying",
    ):
        with pytest.raises(DBAPIError, match="is only added to"), six.app.begin() as connection:
            connection.exec_driver_sql(f"{change} WHERE version_id = 3")


def test_keeping_nothing_at_all_is_refused(six: Yard) -> None:
    with pytest.raises(DBAPIError, match="keep is 0"), six.app.begin() as connection:
        connection.execute(text("SELECT serving.empty_artifacts('demo', 'hotels', 0)"))


def test_old_curves_go_and_their_metrics_stay(six: Yard, portfolio: Portfolio) -> None:
    with six.analytics.begin() as connection:
        old = "UPDATE analytics.training SET ended_at = now() - interval '11 days' WHERE run_id = 'run-1'"
        connection.execute(text(old))
        connection.execute(text("UPDATE analytics.training SET portfolio = 'other' WHERE run_id = 'run-2'"))
    metrics = six.rows("SELECT count(*) FROM analytics.metric")
    assert prune(six.app, six.analytics, portfolio).curves == 1
    assert six.rows("SELECT count(*) FROM analytics.curve") == [(5,)]
    assert six.rows("SELECT count(*) FROM analytics.metric") == metrics
