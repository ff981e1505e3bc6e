"""Launching and adopting by ``create_cluster``."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from local_aws.client import LocalAws
from local_aws.faults.kinds import Throttle
from trainyard import clusters, launching, ledger
from trainyard.ledger import Listing
from trainyard.operators import CreateTrainingCluster
from trainyard.watcher import AdmissionTrigger, InputTrigger, PauseTrigger

if TYPE_CHECKING:
    from conftest import Shop


def create(shop: Shop) -> CreateTrainingCluster:
    return CreateTrainingCluster(task_id="create_cluster", portfolio=shop.portfolio, model_name="hotels")


def take_marker_away(shop: Shop) -> None:
    shop.s3.delete_object(Bucket=shop.bucket, Key="hotels/2026-11-22/train/_SUCCESS")


def test_a_model_whose_input_is_late_waits_without_a_cluster_and_without_an_attempt(shop: Shop) -> None:
    take_marker_away(shop)
    with pytest.raises(TaskDeferred) as deferred:
        create(shop).execute(shop.context())
    trigger = deferred.value.trigger
    assert isinstance(trigger, InputTrigger)
    assert trigger.places == [
        [f"s3://{shop.bucket}/hotels/2026-11-22/train/", "_SUCCESS"],
        [f"s3://{shop.bucket}/hotels/2026-11-22/test/", "_SUCCESS"],
    ]
    assert shop.attempts() == []


def test_a_launch_that_is_throttled_for_long_waits_without_a_worker_and_fails_nothing(
    shop: Shop, idle_aws_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalAws(idle_aws_url).faults(Throttle(calls=("RunJobFlow",))), monkeypatch.context() as patch:
        patch.setattr(launching, "_THROTTLED_SECONDS", 0)
        with pytest.raises(TaskDeferred) as deferred:
            create(shop).execute(shop.context())
    trigger = deferred.value.trigger
    assert isinstance(trigger, PauseTrigger)
    # from when the launch was given up, to which the test comes later
    assert trigger.moment - datetime.now(timezone.utc) < timedelta(minutes=6)
    # what the trigger resumes it with
    launched = getattr(create(shop), deferred.value.method_name)(shop.context(), trigger.moment)
    assert [(attempt.attempt, attempt.cluster_id) for attempt in shop.attempts()] == [
        (1, launched["cluster_id"])
    ]


def test_input_that_came_is_trained_on(shop: Shop) -> None:
    assert shop.is_live(create(shop).resume(shop.context(), {"there": True})["cluster_id"])


def test_input_that_never_came_is_missing_and_publish_is_told(shop: Shop) -> None:
    take_marker_away(shop)
    context = shop.context()
    with pytest.raises(AirflowFailException, match="input_missing: after 30 minutes"):
        create(shop).resume(context, {"there": False})
    assert context["ti"].pushed["not_launched"]["code"] == "input_missing"


def test_input_that_is_marked_whole_and_has_no_row_fails_at_once(shop: Shop) -> None:
    """Nothing will come: to wait would start a worker at every look, for as long as the wait may last."""
    shop.s3.put_object(Bucket=shop.bucket, Key="hotels/2026-11-22/train/part-0", Body=b"")
    context = shop.context()
    with pytest.raises(AirflowFailException, match=r"input_missing: .*train/ is whole and holds no row"):
        create(shop).execute(context)
    assert context["ti"].pushed["not_launched"]["code"] == "input_missing"


def test_the_time_to_wait_counts_from_the_run_s_start(shop: Shop) -> None:
    """So that a retry does not wait anew."""
    take_marker_away(shop)
    context = shop.context()
    context["dag_run"].start_date -= timedelta(minutes=31)
    with pytest.raises(AirflowFailException, match="input_missing"):
        create(shop).execute(context)


def capped(monkeypatch: pytest.MonkeyPatch, **caps: int | str) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_TRAINYARD_ACCOUNT", json.dumps({"deployment": "laptop", **caps}))


def test_the_ledger_has_the_cluster_s_make_up_at_the_account_s_own_prices(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"m7g.xlarge": {"vcpus": 4, "ec2_usd_per_hour": 0.182, "emr_usd_per_hour": 0.0408}}
    file = {"region": "eu-west-1", "date": "2026-11-01", "instance_types": own}
    shop.s3.put_object(Bucket=shop.bucket, Key="prices.json", Body=json.dumps(file).encode())
    capped(monkeypatch, prices=f"s3://{shop.bucket}/prices.json")
    create(shop).execute(shop.context())
    (attempt,) = shop.attempts()
    assert attempt.instances is not None
    assert [
        (each.role, each.instance_type, each.count, each.ec2_usd_per_hour, each.emr_usd_per_hour)
        for each in attempt.instances
    ] == [("MASTER", "m7g.large", 1, 0.0816, 0.0204), ("CORE", "m7g.xlarge", 1, 0.182, 0.0408)]


def test_a_task_that_finds_its_cluster_running_has_no_use_for_prices(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched = create(shop).execute(shop.context())
    capped(monkeypatch, prices="/nowhere/prices.json")
    assert create(shop).execute(shop.context()) == launched


def test_a_model_without_a_slot_waits_and_launches_once_it_has_one(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = frozenset(status.cluster_id for status in clusters.active_clusters(shop.emr))
    capped(monkeypatch, max_live_clusters=max(1, len(live)), max_vcpus=6)
    ledger.record_listing(
        shop.app, Listing("aws_default", datetime.now(timezone.utc), live or frozenset({"j-1"}))
    )
    with pytest.raises(TaskDeferred) as deferred:
        create(shop).execute(shop.context())
    assert isinstance(deferred.value.trigger, AdmissionTrigger)
    (attempt,) = shop.attempts()
    assert (attempt.state, attempt.cluster_id, attempt.vcpus) == ("queued", None, 6)
    capped(monkeypatch, max_live_clusters=len(live) + 2)
    assert shop.is_live(create(shop).resume(shop.context(), {"admitted": True})["cluster_id"])
    assert [attempt.attempt for attempt in shop.attempts()] == [1]


def test_a_first_launch_under_a_cap_reads_what_emr_lists_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # also where the machine stands still between the two
    monkeypatch.setattr(launching, "_LISTED_JUST_NOW_SECONDS", 3600)
    capped(monkeypatch, max_live_clusters=10_000)
    first = create(shop).execute(shop.context())["cluster_id"]
    assert shop.is_live(first)
    seconds = ledger.listed_seconds_ago(shop.app, "aws_default")
    assert seconds < 3600
    another = replace(shop, run_id="manual__another")
    create(another).execute(another.context())
    assert ledger.listed_seconds_ago(shop.app, "aws_default") > seconds
