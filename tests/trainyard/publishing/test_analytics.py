"""What analytics knows of trainings that were activated, held back, skipped, compared, and what its views say."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from trainyard import ledger
from trainyard.costs import AskedInstances
from trainyard.publishing import NotLaunched, publish_run

if TYPE_CHECKING:
    from conftest import Yard

INSTANCES = (
    AskedInstances(
        role="CORE",
        instance_type="m5.xlarge",
        count=5,
        market="SPOT",
        normalized_hours_per_hour=8,
        ec2_usd_per_hour=0.192,
        emr_usd_per_hour=0.048,
    ),
)

TODAY = date(2026, 11, 22)
METRICS: dict[str, Any] = {
    "metrics": {"test": {"rows": 10000, "auc": 0.93, "log_loss": 0.31}},
    "intervals": {
        "test": {"auc": {"value": 0.93, "standard_error": 0.002, "low": 0.926, "high": 0.934, "level": 0.95}}
    },
    "comparisons": {
        "champion": {
            "version_id": 7,
            "training_id": "a" * 16,
            "attempt": 1,
            "data_date": "2026-11-21",
            "metrics": {"log_loss": 0.32, "auc": 0.925},
            "differences": {
                "log_loss": {
                    "value": -0.01,
                    "standard_error": 0.001,
                    "low": -0.012,
                    "high": -0.008,
                    "level": 0.95,
                    "rows": 10000,
                    "groups": None,
                },
                "positive_rate": {"value": 0.003},
            },
        },
        "best_recent": None,
    },
    "warnings": [
        {"code": "unseen_features", "sentence": "12 features were never seen.", "value": 12, "split": "test"}
    ],
}


def test_intervals_comparisons_and_warnings_are_rows_to_ask(yard: Yard) -> None:
    yard.publish(yard.succeeded("hotels", metrics=METRICS))
    assert yard.rows(
        "SELECT value, standard_error, low, high, level FROM analytics.metric WHERE name = 'auc'"
    ) == [(0.93, 0.002, 0.926, 0.934, 0.95)]
    assert yard.rows(
        "SELECT against, version_id, data_date, name, old_value, difference, low, high, rows, groups "
        "FROM analytics.comparison ORDER BY name"
    ) == [
        ("champion", 7, date(2026, 11, 21), "auc", 0.925, None, None, None, None, None),
        ("champion", 7, date(2026, 11, 21), "log_loss", 0.32, -0.01, -0.012, -0.008, 10000, None),
        ("champion", 7, date(2026, 11, 21), "positive_rate", None, 0.003, None, None, None, None),
    ]
    assert yard.rows("SELECT model, code, sentence, value, split FROM analytics.warning") == [
        ("hotels", "unseen_features", "12 features were never seen.", 12.0, "test")
    ]


def test_a_held_back_model_is_known_with_its_metrics_and_why(yard: Yard) -> None:
    infeasible = {"threshold_rule": {"rule": "precision_at_least", "feasible": False}}
    (outcome,) = yard.publish(yard.succeeded("hotels", metrics=infeasible)).outcomes
    assert outcome.status == "held_back"
    assert yard.live() == {}
    assert yard.rows("SELECT model, decision_code, version_id FROM analytics.held_back") == [
        ("hotels", "threshold_infeasible", 1)
    ]
    assert yard.rows("SELECT count(*) FROM analytics.metric")[0][0] > 0


def test_a_skipped_model_is_known_and_is_no_failure(yard: Yard) -> None:
    training = yard.training("hotels")
    report = publish_run(
        app=yard.app,
        analytics=yard.analytics,
        s3=yard.s3,
        trainings=[training],
        dag_id="demo",
        run_id="run-1",
        data_date=TODAY,
        portfolio="demo",
        activate=True,
        not_launched={"hotels": NotLaunched("left_out", "The run was asked for others.", skipped=True)},
    )
    assert report.outcomes[0].status == "skipped"
    assert yard.rows("SELECT outcome, failure_code FROM analytics.training") == [("skipped", "left_out")]
    assert yard.rows("SELECT count(*) FROM analytics.failures") == [(0,)]


def test_cost_by_day_adds_up_what_is_known_and_nothing_else(yard: Yard) -> None:
    yard.publish(yard.succeeded("flights"), yard.succeeded("hotels"))
    failed = yard.training("hotels", run="run-2")
    yard.attempt(failed, outcome="failed", failure_code="spot_lost")
    yard.publish(failed)
    with yard.analytics.begin() as connection:
        connection.execute(
            text(
                "UPDATE analytics.training SET launched_at = '2026-11-22 23:30-05', ended_at = '2026-11-23 01:00-05', "
                "cost_usd = CASE WHEN model = 'hotels' THEN 1.5 END"
            )
        )
    assert yard.rows(
        "SELECT day, model, clusters, failed_clusters, cluster_hours, cost_usd FROM analytics.cost_by_day "
        "ORDER BY model"
    ) == [
        (date(2026, 11, 23), "flights", 1, 0, 1.5, None),
        (date(2026, 11, 23), "hotels", 2, 1, 3.0, 3.0),
    ]


def lasted(yard: Yard, **minutes_of_run: float) -> None:
    """Attempts that lived so long, by the underscored name of their run; launched at half past eleven in New York."""
    with yard.app.begin() as connection:
        for run, minutes in minutes_of_run.items():
            connection.execute(
                text(
                    "UPDATE operations.attempt SET launched_at = '2026-11-22 23:30-05', "
                    "ended_at = CAST('2026-11-22 23:30-05' AS timestamptz) + :minutes * interval '1 minute' "
                    "WHERE run_id = :run AND state = 'ended'"
                ),
                {"run": run.replace("_", "-"), "minutes": minutes},
            )


def test_what_failed_was_taken_away_or_was_good_costs_alike(yard: Yard) -> None:
    good = yard.succeeded("hotels")
    retried = yard.training("hotels", run="run-2")
    for outcome, code in (("failed", "spot_lost"), ("abandoned", "superseded"), ("failed", "out_of_memory")):
        yard.attempt(retried, outcome=outcome, failure_code=code)
    lasted(yard, run_1=90, run_2=20)
    yard.publish(good)
    yard.publish(retried)
    # 1.2 dollars and 40 normalized hours an hour: an hour and a half is 1.8 and two hours begun, 20 minutes are 0.4
    assert yard.rows(
        "SELECT run_id, attempt, outcome, normalized_instance_hours, cost_usd FROM analytics.training "
        "ORDER BY run_id, attempt"
    ) == [
        ("run-1", 1, "succeeded", 80, 1.8),
        ("run-2", 1, "failed", 40, 0.4),
        ("run-2", 2, "abandoned", 40, 0.4),
        ("run-2", 3, "failed", 40, 0.4),
    ]
    assert yard.rows(
        "SELECT day, model, clusters, failed_clusters, cluster_hours, normalized_instance_hours, "
        "round(cost_usd::numeric, 6)::float FROM analytics.cost_by_day"
    ) == [(date(2026, 11, 23), "hotels", 4, 3, 2.5, 200, 3.0)]


def test_the_make_up_of_a_cluster_is_there_to_ask(yard: Yard) -> None:
    yard.publish(yard.succeeded("hotels"))
    assert yard.rows(
        "SELECT role, instance_type, count, market, ec2_usd_per_hour FROM analytics.training CROSS JOIN LATERAL "
        "jsonb_to_recordset(instances) "
        "AS i (role text, instance_type text, count integer, market text, ec2_usd_per_hour float)"
    ) == [("MASTER", "m5.xlarge", 1, "ON_DEMAND", 0.192), ("CORE", "m5.xlarge", 4, "ON_DEMAND", 0.192)]


def test_what_is_not_known_is_null_and_nobody_s_sum(yard: Yard) -> None:
    unpriced = tuple(each.model_copy(update={"emr_usd_per_hour": None}) for each in INSTANCES)
    trainings = {run: yard.training("hotels", run=run) for run in ("run-1", "run-2", "run-3", "run-4")}
    yard.attempt(trainings["run-1"], outcome="failed", instances=None)
    yard.attempt(trainings["run-2"], outcome="failed", instances=unpriced)
    yard.attempt(trainings["run-3"], outcome=None)
    ledger.allocate(yard.app, training=trainings["run-4"], aws_conn_id="aws_default")
    lasted(yard, run_1=20, run_2=20)
    for training in trainings.values():
        yard.publish(training)
    assert yard.rows(
        "SELECT run_id, instances IS NULL, normalized_instance_hours, cost_usd FROM analytics.training "
        "ORDER BY run_id"
    ) == [
        ("run-1", True, None, None),
        ("run-2", False, 40, None),
        ("run-3", False, None, None),
        ("run-4", True, None, None),
    ]
    assert yard.rows(
        "SELECT sum(clusters), count(normalized_instance_hours), count(cost_usd) FROM analytics.cost_by_day"
    ) == [(3, 0, 0)]


@pytest.mark.parametrize(("age_days", "stale"), [(2, False), (9, True)])
def test_freshness_holds_each_model_against_what_its_portfolio_demands(
    yard: Yard, age_days: int, stale: bool
) -> None:
    day = date.today() - timedelta(days=age_days)  # noqa: DTZ011 (as PostgreSQL's current_date, in UTC)
    yard.publish(yard.succeeded("flights", data_date=day), yard.succeeded("hotels", data_date=day))
    with yard.analytics.begin() as connection:
        demand = "UPDATE analytics.training SET fresh_within = '5 days' WHERE model = 'hotels'"
        connection.execute(text(demand))
    assert yard.rows("SELECT model, stale FROM analytics.freshness ORDER BY model") == [
        ("flights", False),
        ("hotels", stale),
    ]
    assert yard.rows(
        "SELECT models, serving, stale, oldest_data_date, stale_models FROM analytics.portfolio_freshness"
    ) == [(2, 2, int(stale), day, ["hotels"] if stale else [])]


def test_a_margin_s_threshold_may_lie_outside_of_0_to_1(yard: Yard) -> None:
    artifact = {"kind": "linear_svc", "score_kind": "margin", "threshold": -1.25}
    yard.publish(yard.succeeded("hotels", artifact=artifact, metrics={"threshold": -1.25}))
    assert yard.rows("SELECT score_kind, threshold FROM serving.live_model") == [("margin", -1.25)]
    assert yard.rows("SELECT score_kind, threshold FROM analytics.training") == [("margin", -1.25)]


def test_another_width_in_the_champions_feature_space_is_refused(yard: Yard) -> None:
    yard.publish(yard.succeeded("hotels", data_date=TODAY - timedelta(days=1)))
    wider: dict[str, Any] = {"request": {"num_features": 300}, "artifact": {"num_features": 300}}
    training = yard.training("hotels", run="run-2")
    yard.attempt(training, request=wider["request"])
    yard.folder(training, **wider).write(yard.s3)
    (outcome,) = yard.publish(training).outcomes
    assert (outcome.status, outcome.failure_code) == ("failed", "feature_count_changed")
    assert "num_features is 300, but version 1, which serves, has 240" in outcome.sentence
    other = {key: value | {"feature_space": "hotels-v2"} for key, value in wider.items()}
    training = yard.training("hotels", run="run-3")
    yard.attempt(training, request=other["request"])
    yard.folder(training, **other).write(yard.s3)
    assert yard.publish(training).outcomes[0].status == "activated"


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"])
@pytest.mark.parametrize(("hours_more", "stale"), [(1, False), (-1, True)])
def test_ages_are_counted_in_utc_whatever_the_zone_of_whoever_asks(
    yard: Yard, zone: str, *, hours_more: int, stale: bool
) -> None:
    yard.publish(yard.succeeded("hotels"))
    of_yesterday = """
        UPDATE analytics.training
        SET data_date = (now() AT TIME ZONE 'UTC')::date - 1,
            fresh_within = now() AT TIME ZONE 'UTC' - date_trunc('day', now() AT TIME ZONE 'UTC')
                           + make_interval(hours => :hours_more)
    """
    # one transaction has one now(), on both sides of a midnight
    with yard.analytics.connect() as connection:
        connection.execute(text(f"SET LOCAL TIME ZONE '{zone}'"))
        connection.execute(text(of_yesterday), {"hours_more": hours_more})
        found = connection.execute(text("SELECT age_days, stale FROM analytics.freshness")).one()
        assert tuple(found) == (1, stale)
        connection.rollback()
