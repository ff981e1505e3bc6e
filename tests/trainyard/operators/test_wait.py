"""What the wait does on retries, clears and failures of its training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from trainyard import ledger
from trainyard.watcher import TrainingTrigger

if TYPE_CHECKING:
    from conftest import Shop


def test_the_wait_is_for_the_cluster_that_create_launched(shop: Shop) -> None:
    cluster_id = shop.create()
    trigger = shop.wait()
    assert (trigger.cluster_id, trigger.attempt) == (cluster_id, 1)
    assert shop.attempts()[0].awaited_at is not None


def test_a_wait_that_comes_late_without_having_waited_adopts_the_cluster(shop: Shop) -> None:
    """As after a clear of both tasks, or a worker that died on its way: the try number says nothing."""
    cluster_id = shop.create()
    assert shop.create() == cluster_id
    assert shop.wait().cluster_id == cluster_id
    assert shop.is_live(cluster_id)


def test_a_new_try_of_the_wait_ends_the_cluster_and_takes_a_fresh_one(shop: Shop) -> None:
    first = shop.create()
    shop.wait()
    second = shop.wait()
    assert (second.attempt, second.cluster_id != first) == (2, True)
    assert not shop.is_live(first)
    assert shop.is_live(second.cluster_id)
    ended = shop.attempts()[0]
    assert (ended.outcome, ended.failure_code) == ("abandoned", "superseded")


def test_a_wait_for_a_training_that_ended_well_is_over_at_once(shop: Shop) -> None:
    shop.create()
    ledger.end(shop.app, training_id=shop.training.training_id, attempt=1, outcome="succeeded")
    shop.waiting_task().execute(shop.context())
    assert len(shop.attempts()) == 1


def test_a_wait_whose_create_was_marked_success_by_hand_launches(shop: Shop) -> None:
    assert shop.is_live(shop.wait().cluster_id)


def resumed(shop: Shop, trigger: TrainingTrigger) -> None:
    event = {"training_id": trigger.training_id, "attempt": trigger.attempt}
    shop.waiting_task().execute_complete(shop.context(), event)


def test_an_overdue_cluster_is_terminated_and_may_be_tried_again(shop: Shop) -> None:
    cluster_id = shop.create()
    trigger = shop.wait()
    with pytest.raises(AirflowException, match=f"overdue: cluster {cluster_id} did not end in time") as error:
        resumed(shop, trigger)
    assert not isinstance(error.value, AirflowFailException)
    assert not shop.is_live(cluster_id)
    assert shop.attempts()[0].failure_code == "overdue"


def test_bad_data_fails_the_task_for_good_in_the_job_s_own_words(shop: Shop) -> None:
    cluster_id = shop.create()
    trigger = shop.wait()
    shop.tell_failure(shop.attempts()[0], "malformed_input")
    shop.emr.terminate_job_flows(JobFlowIds=[cluster_id])
    with pytest.raises(AirflowFailException, match="malformed_input: so it is"):
        resumed(shop, trigger)
    assert shop.attempts()[0].failure_code == "malformed_input"


def test_an_end_that_nobody_explains_is_retried_once(shop: Shop) -> None:
    errors = []
    for _ in range(2):
        trigger = shop.wait()
        shop.emr.terminate_job_flows(JobFlowIds=[trigger.cluster_id])
        with pytest.raises(AirflowException) as error:
            resumed(shop, trigger)
        errors.append(error.type)
    assert errors == [AirflowException, AirflowFailException]


def test_the_judged_attempt_is_the_one_that_was_waited_for(shop: Shop) -> None:
    trigger = shop.wait()
    shop.emr.terminate_job_flows(JobFlowIds=[trigger.cluster_id])
    newer = shop.create()
    with pytest.raises(AirflowException):
        resumed(shop, trigger)
    assert shop.is_live(newer)
    assert [attempt.state for attempt in shop.attempts()] == ["ended", "launched"]
