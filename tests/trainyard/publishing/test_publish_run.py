"""What serves, what analytics knows and what is reported after a run has been published."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from trainyard.publishing import history, live_models, run_summary
from trainyard.publishing.rollback import ModelName, roll_back

if TYPE_CHECKING:
    from conftest import Yard

TODAY = date(2026, 11, 22)
YESTERDAY = TODAY - timedelta(days=1)
JOB_FAILURE = {
    "format_version": 2,
    "code": "malformed_input",
    "sentence": "Line 12 holds no LibSVM.",
    "place": {"file": "s3://features/part-00000", "line": 12},
    "lines": ["1 7:secret"],
}


def statuses(report: Any) -> dict[str, str]:
    return {outcome.model: outcome.status for outcome in report.outcomes}


def test_a_good_run_serves_and_is_known_to_analytics(yard: Yard) -> None:
    flights, hotels = yard.succeeded("flights"), yard.succeeded("hotels")
    report = yard.publish(flights, hotels)
    assert statuses(report) == {"flights": "activated", "hotels": "activated"}
    assert [outcome.sentence for outcome in report.outcomes] == ["version 1 serves", "version 2 serves"]
    assert yard.live() == {"flights": flights.training_id, "hotels": hotels.training_id}
    assert yard.rows(
        "SELECT model, outcome, published_as, version_id, train_rows, test_rows, num_features, threshold, iterations, "
        "job_seconds, code_sha256, step_id, jsonb_array_length(warnings) FROM analytics.training ORDER BY model"
    ) == [
        ("flights", "succeeded", "activated", 1, 40000, 10000, 240, 0.5, 31, 7.75, "c" * 64, "s-1", 1),
        ("hotels", "succeeded", "activated", 2, 40000, 10000, 240, 0.5, 31, 7.75, "c" * 64, "s-1", 1),
    ]
    assert yard.rows("SELECT DISTINCT name, x, y, x_name FROM analytics.curve") == [
        ("roc", [0, 0.25, 1], [0, 0.75, 1], "false_positive_rate")
    ]
    assert yard.rows("SELECT value FROM analytics.metric WHERE name = 'auc'") == [(0.93,), (0.93,)]


@pytest.mark.parametrize("gzipped", [False, True])
def test_what_serves_is_the_artifact_that_the_job_wrote(yard: Yard, gzipped: bool) -> None:
    training = yard.succeeded("hotels", gzipped=gzipped)
    yard.publish(training)
    ((artifact, sha256, lineage),) = yard.rows(
        "SELECT artifact, artifact_sha256, lineage FROM serving.live_model"
    )
    content = gzip.decompress(artifact)
    assert json.loads(content)["parameters"]["coefficients"]["values"] == [0.5, -1.25, 3e-05]
    assert hashlib.sha256(content).hexdigest() == sha256
    if not gzipped:
        # bytes 4 to 7 of a gzip file are its time
        assert artifact[4:8] == b"\0\0\0\0"
    assert lineage["training_id"] == training.training_id


def test_publishing_a_run_again_changes_nothing(yard: Yard) -> None:
    trainings = yard.succeeded("flights"), yard.succeeded("hotels")
    first = yard.publish(*trainings)
    before = _everything(yard)
    assert yard.publish(*trainings) == first
    assert _everything(yard) == before


def test_an_older_data_date_is_recorded_and_does_not_serve(yard: Yard) -> None:
    today, backfill = yard.succeeded("hotels"), yard.succeeded("hotels", run="backfill", data_date=YESTERDAY)
    yard.publish(today)
    (outcome,) = yard.publish(backfill).outcomes
    assert (outcome.status, outcome.version_id) == ("recorded", 2)
    assert (
        outcome.sentence == "version 2 is recorded, not activated: version 1 has newer data, of 2026-11-22; "
        "version 1 of data date 2026-11-22 serves"
    )
    assert yard.live() == {"hotels": today.training_id}
    assert yard.rows("SELECT published_as FROM analytics.training WHERE run_id = 'backfill'") == [
        ("recorded",)
    ]


def test_on_equal_data_dates_the_later_training_wins_and_publishing_the_first_again_does_not_take_it_back(
    yard: Yard,
) -> None:
    first, second = yard.succeeded("hotels"), yard.succeeded("hotels", run="run-2")
    yard.publish(first)
    yard.publish(second)
    assert yard.live() == {"hotels": second.training_id}
    (outcome,) = yard.publish(first).outcomes
    assert outcome.sentence == "version 1 was activated; now version 2 of data date 2026-11-22 serves"
    assert yard.live() == {"hotels": second.training_id}


def test_a_rollback_between_two_publishes_of_a_run_holds(yard: Yard) -> None:
    old, new = yard.succeeded("hotels", data_date=YESTERDAY), yard.succeeded("hotels", run="run-2")
    yard.publish(old)
    yard.publish(new)
    with yard.app.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO serving.activation (version_id, portfolio, model, actor, reason, replaced_version_id) "
                "VALUES (1, 'demo', 'hotels', 'ada', 'calls too often', 2)"
            )
        )
    yard.publish(new)
    assert yard.live() == {"hotels": old.training_id}
    # a straggler of the same run is published after all, and takes nobody with it
    straggler = yard.succeeded("flights", run="run-2")
    yard.publish(new, straggler)
    assert yard.live() == {"flights": straggler.training_id, "hotels": old.training_id}


def test_metrics_alone_are_recorded_where_no_version_is_wanted(yard: Yard) -> None:
    training = yard.succeeded("hotels")
    (outcome,) = yard.publish(training, activate=False).outcomes
    assert (outcome.status, outcome.version_id) == ("measured", None)
    assert yard.rows("SELECT count(*) FROM serving.model_version") == [(0,)]
    assert yard.rows("SELECT published_as, version_id FROM analytics.training") == [("measured", None)]
    assert yard.rows("SELECT count(*) FROM analytics.metric")[0][0] == 8


def test_one_failed_model_holds_nobody_up(yard: Yard) -> None:
    hotels, flights = yard.succeeded("hotels"), yard.training("flights")
    yard.attempt(
        flights, outcome="failed", failure_code="spot_lost", failure_reason="The spot node was taken."
    )
    report = yard.publish(flights, hotels)
    assert statuses(report) == {"flights": "failed", "hotels": "activated"}
    assert (report.outcomes[0].failure_code, report.outcomes[0].sentence) == (
        "spot_lost",
        "The spot node was taken.",
    )
    assert yard.rows("SELECT model, outcome, failure_code, cluster_id FROM analytics.failures") == [
        ("flights", "failed", "spot_lost", f"j-{flights.training_id[:8]}-1")
    ]


def test_a_job_that_said_why_is_quoted_without_its_users_lines(yard: Yard) -> None:
    training = yard.training("hotels")
    yard.attempt(training, outcome="failed", failure_code="step_failed", failure_reason="The step failed.")
    _put(yard, training, "failure.json", JOB_FAILURE)
    (outcome,) = yard.publish(training).outcomes
    assert outcome.failure_code == "malformed_input"
    assert outcome.sentence == "Line 12 holds no LibSVM. (s3://features/part-00000:12)"
    assert not yard.rows("SELECT 1 FROM analytics.training t WHERE t::text LIKE '%secret%'")


def test_a_cluster_that_ended_well_without_a_manifest_is_a_failure(yard: Yard) -> None:
    training = yard.training("hotels")
    yard.attempt(training, outcome="succeeded")
    (outcome,) = yard.publish(training).outcomes
    assert (outcome.status, outcome.failure_code) == ("failed", "no_manifest")
    assert "the ledger has it as succeeded" in outcome.sentence


def test_a_training_still_running_is_recorded_as_unfinished(yard: Yard) -> None:
    training = yard.training("hotels")
    yard.attempt(training, outcome=None)
    assert yard.publish(training).outcomes[0].failure_code == "no_manifest"
    assert yard.rows("SELECT outcome, cluster_seconds FROM analytics.training") == [("unfinished", None)]


def test_a_training_that_never_came_to_an_attempt_is_a_failure_to_be_seen(yard: Yard) -> None:
    training = yard.training("hotels")
    (outcome,) = yard.publish(training).outcomes
    assert (outcome.failure_code, outcome.sentence) == (
        "no_manifest",
        "no attempt was made: the log of task hotels.create_cluster says why",
    )
    assert yard.rows("SELECT attempt, failure_code FROM analytics.failures") == [(0, "no_manifest")]
    yard.succeeded("hotels")
    yard.publish(training)
    assert yard.rows("SELECT attempt, outcome FROM analytics.training") == [(1, "succeeded")]


def test_every_attempt_has_a_row_and_the_last_with_a_manifest_is_published(yard: Yard) -> None:
    training = yard.training("hotels")
    yard.attempt(training, outcome="failed", failure_code="bootstrap_failed", failure_reason="No.")
    yard.succeeded("hotels", attempt=2)
    yard.attempt(training, outcome="abandoned", failure_code="superseded", failure_reason="Cleared.")
    (outcome,) = yard.publish(training).outcomes
    assert outcome.status == "activated"
    assert yard.rows("SELECT attempt FROM serving.live_model") == [(2,)]
    assert yard.rows(
        "SELECT attempt, outcome, failure_code, published_as FROM analytics.training ORDER BY attempt"
    ) == [
        (1, "failed", "bootstrap_failed", None),
        (2, "succeeded", None, "activated"),
        (3, "abandoned", "superseded", None),
    ]
    assert yard.rows("SELECT attempt, made_good FROM analytics.failures ORDER BY attempt") == [
        (1, True),
        (3, True),
    ]


def test_a_training_published_once_keeps_its_version_and_says_so_of_a_later_attempt(yard: Yard) -> None:
    training = yard.succeeded("hotels")
    yard.publish(training)
    yard.succeeded("hotels", attempt=2)
    (outcome,) = yard.publish(training).outcomes
    assert outcome.version_id == 1
    assert "attempt 2 came after the training was published: start a new run" in outcome.sentence
    assert yard.rows("SELECT count(*) FROM serving.activation") == [(1,)]
    assert yard.rows("SELECT attempt, published_as FROM analytics.training ORDER BY 1") == [
        (1, "activated"),
        (2, None),
    ]


def test_a_version_whose_own_attempt_cannot_be_read_any_more_keeps_its_rows_beside_a_later_attempt(
    yard: Yard,
) -> None:
    training = yard.succeeded("hotels")
    yard.publish(training)
    before = yard.rows("SELECT to_jsonb(t) FROM analytics.training AS t")
    yard.succeeded("hotels", attempt=2)
    yard.folder(training).delete(yard.s3, "manifest.json")
    yard.publish(training)
    assert yard.rows("SELECT to_jsonb(t) FROM analytics.training AS t") == before


def test_an_activation_that_was_rolled_back_since_is_not_told_as_live_when_its_run_publishes_again(
    yard: Yard,
) -> None:
    yard.publish(yard.succeeded("hotels", run="run-1"))
    training = yard.succeeded("hotels", run="run-2")
    (outcome,) = yard.publish(training).outcomes
    assert (outcome.status, outcome.live) == ("activated", True)
    roll_back(yard.app, ModelName("demo", "hotels"), actor="ada", reason="worse")
    (outcome,) = yard.publish(training).outcomes
    assert (outcome.status, outcome.live) == ("activated", False)


def test_a_version_outlives_its_folder(yard: Yard) -> None:
    training = yard.succeeded("hotels")
    first = yard.publish(training)
    before = _everything(yard)
    _delete(yard, training, "manifest.json")
    assert yard.publish(training) == first
    assert _everything(yard) == before


def test_a_rerun_replaces_its_own_rows_only(yard: Yard) -> None:
    mine, other = yard.succeeded("hotels"), yard.succeeded("hotels", run="run-2")
    yard.publish(other)
    with yard.analytics.begin() as connection:
        connection.execute(
            text(
                "UPDATE analytics.split_metrics SET value[array_position(name, 'auc')] = 0.5 "
                "WHERE 'auc' = ANY(name)"
            )
        )
    yard.publish(mine)
    yard.publish(mine)
    assert yard.rows(
        "SELECT run_id, value FROM analytics.metric JOIN analytics.training USING (training_id, attempt) "
        "WHERE name = 'auc' ORDER BY run_id"
    ) == [("run-1", 0.93), ("run-2", 0.5)]


@pytest.mark.parametrize("table", ["model_version", "activation"])
@pytest.mark.parametrize(
    "change", ["UPDATE serving.{} SET model = 'x'", "DELETE FROM serving.{}", "TRUNCATE serving.{} CASCADE"]
)
def test_the_database_refuses_to_change_what_was_published(yard: Yard, table: str, change: str) -> None:
    yard.publish(yard.succeeded("hotels"))
    with pytest.raises(DBAPIError, match="is only added to"), yard.app.begin() as connection:
        connection.execute(text(change.format(table)))
    assert len(yard.live()) == 1


def test_an_activation_of_another_models_version_is_refused(yard: Yard) -> None:
    yard.publish(yard.succeeded("hotels"))
    with pytest.raises(DBAPIError, match="activates_a_version_of_its_model"), yard.app.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO serving.activation (version_id, portfolio, model, actor, reason) "
                "VALUES (1, 'demo', 'flights', 'ada', 'a slip')"
            )
        )


def test_trainings_of_another_run_are_refused_before_anything_is_read(yard: Yard) -> None:
    with pytest.raises(
        ValueError, match="hotels: its training is of portfolio 'demo' and data date 2026-11-21"
    ):
        yard.publish(yard.training("flights"), yard.training("hotels", data_date=YESTERDAY))
    with pytest.raises(ValueError, match="a model stands twice"):
        yard.publish(yard.training("hotels"), yard.training("hotels", run="run-2"))


def test_live_models_and_history_tell_what_replaced_what(yard: Yard) -> None:
    old, new = yard.succeeded("hotels", data_date=YESTERDAY), yard.succeeded("hotels", run="run-2")
    backfill = yard.succeeded("hotels", run="backfill", data_date=YESTERDAY)
    for training in (old, new, backfill):
        yard.publish(training)
    (live,) = live_models(yard.app)
    assert (live.version_id, live.data_date, live.replaced_version_id) == (2, TODAY, 1)
    assert live.actor == "run run-2 of DAG demo"
    assert live.reason == "newer data than of 2026-11-21"
    assert live.activated_at.utcoffset() == timedelta(0)
    events = history(yard.app, portfolio=None, model="hotels")
    assert [(event.version_id, event.replaced_version_id, event.reason, event.live) for event in events] == [
        (3, None, "version 2 has newer data, of 2026-11-22", False),
        (2, 1, "newer data than of 2026-11-21", True),
        (1, None, "the first version", False),
    ]
    assert history(yard.app, portfolio="demo", model="hotels") == events
    assert history(yard.app, portfolio="other", model="hotels") == []


def test_the_summary_of_a_run_is_read_back_from_both_databases(yard: Yard) -> None:
    flights, hotels = yard.training("flights"), yard.succeeded("hotels")
    yard.attempt(
        flights, outcome="failed", failure_code="spot_lost", failure_reason="The spot node was taken."
    )
    yard.publish(flights, hotels)
    failed, good = run_summary(yard.app, yard.analytics, [hotels.training_id, flights.training_id])
    assert (failed.model, failed.outcome, failed.failure_code, failed.version_id) == (
        "flights",
        "failed",
        "spot_lost",
        None,
    )
    assert (good.model, good.version_id, good.live, good.published_as) == ("hotels", 1, True, "activated")
    assert (good.rows, good.auc, good.log_loss, good.precision, good.recall) == (40000, 0.93, 0.31, 0.8, 0.7)
    assert (good.threshold, good.cluster_id) == (0.5, f"j-{hotels.training_id[:8]}-1")
    assert good.seconds is not None
    assert good.seconds >= 0


def test_the_views_answer_what_a_person_asks_first(yard: Yard) -> None:
    better = {"metrics": {"test": {"rows": 9, "auc": 0.95}}}
    yard.publish(yard.succeeded("hotels", data_date=YESTERDAY))
    yard.publish(yard.succeeded("hotels", run="run-2"))
    yard.publish(yard.succeeded("hotels", run="run-3", metrics=better))
    failed = yard.training("flights")
    yard.attempt(failed, outcome="failed", failure_code="spot_lost")
    yard.publish(failed)
    assert yard.rows("SELECT data_date, value FROM analytics.latest_metrics WHERE name = 'auc'") == [
        (TODAY, 0.95)
    ]
    trend = yard.rows(
        "SELECT data_date, value, round(change::numeric, 4) FROM analytics.metric_trend WHERE name = 'auc'"
    )
    assert [(day, value, change and float(change)) for day, value, change in trend] == [
        (YESTERDAY, 0.93, None),
        (TODAY, 0.95, 0.02),
    ]
    assert yard.rows(
        "SELECT model, fresh_data_date, current_date - fresh_data_date = age_days, last_outcome, last_failure_code "
        "FROM analytics.freshness ORDER BY model"
    ) == [("flights", None, None, "failed", "spot_lost"), ("hotels", TODAY, True, "succeeded", None)]


def _everything(yard: Yard) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, without the times at which rows were written to analytics."""
    tables = (
        "operations.attempt",
        "serving.model_version",
        "serving.activation",
        "analytics.split_metrics",
        "analytics.curve",
    )
    state = {table: sorted(yard.rows(f"SELECT t::text FROM {table} AS t")) for table in tables}
    query = "SELECT (to_jsonb(t) - 'recorded_at')::text FROM analytics.training AS t"
    return state | {"analytics.training": sorted(yard.rows(query))}


def _put(yard: Yard, training: Any, name: str, document: dict[str, Any]) -> None:
    bucket, _, prefix = training.attempt_folder(1).removeprefix("s3://").partition("/")
    yard.s3.put_object(Bucket=bucket, Key=prefix + name, Body=json.dumps(document).encode())


def _delete(yard: Yard, training: Any, name: str) -> None:
    bucket, _, prefix = training.attempt_folder(1).removeprefix("s3://").partition("/")
    yard.s3.delete_object(Bucket=bucket, Key=prefix + name)
