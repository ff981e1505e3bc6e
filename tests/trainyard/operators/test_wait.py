"""What the wait does on retries, clears and failures of its training."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred
from airflow.triggers.base import TriggerEvent
from sqlalchemy.exc import OperationalError

from trainyard import ledger
from trainyard.watcher import LogTrigger, TrainingTrigger

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
    ended = ledger.end(shop.app, training_id=shop.training.training_id, attempt=1, outcome="succeeded")
    shop.put_manifest(ended)
    shop.waiting_task().execute(shop.context())
    assert len(shop.attempts()) == 1


def test_a_wait_whose_create_was_marked_success_by_hand_launches(shop: Shop) -> None:
    assert shop.is_live(shop.wait().cluster_id)


def resumed(shop: Shop, trigger: TrainingTrigger) -> None:
    event = {"training_id": trigger.training_id, "attempt": trigger.attempt, "log_waited": True}
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


def test_an_end_that_nobody_explains_is_retried_after_an_attempt_that_ended_otherwise(shop: Shop) -> None:
    shop.wait()
    trigger = shop.wait()
    assert trigger.attempt == 2
    shop.emr.terminate_job_flows(JobFlowIds=[trigger.cluster_id])
    with pytest.raises(AirflowException) as error:
        resumed(shop, trigger)
    assert error.type is AirflowException


def fail_for_want_of_a_node(shop: Shop) -> type[AirflowException]:
    """A try that fails as a fresh cluster could mend; how it fails says whether there is to be one."""
    trigger = shop.wait()
    put_log(shop, trigger.cluster_id, DRIVER, "ExecutorLostFailure (slave lost)")
    shop.emr.terminate_job_flows(JobFlowIds=[trigger.cluster_id])
    with pytest.raises(AirflowException) as error:
        resumed(shop, trigger)
    return error.type


def lose_the_ledger(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A try that finds the ledger's database away."""
    shop.tries += 1
    with monkeypatch.context() as away:
        away.setenv("AIRFLOW_CONN_APP_DB", "postgresql://nobody:none@127.0.0.1:1/none")
        with pytest.raises(OperationalError):
            shop.waiting_task().execute(shop.context())


def test_a_ledger_that_is_away_spends_none_of_the_model_s_retries(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = []
    for _ in range(3):
        for _ in range(3):
            lose_the_ledger(shop, monkeypatch)
        ends.append(fail_for_want_of_a_node(shop))
    assert ends == [AirflowException, AirflowException, AirflowFailException]
    assert [attempt.failure_code for attempt in shop.attempts()] == ["node_lost"] * 3


def test_a_task_that_a_person_clears_has_the_model_s_retries_again(shop: Shop) -> None:
    ends = []
    for _ in range(2):
        ends += [fail_for_want_of_a_node(shop) for _ in range(3)]
        shop.clear()
    assert ends == [AirflowException, AirflowException, AirflowFailException] * 2


def test_a_failure_found_by_a_later_try_counts_among_the_model_s_retries(shop: Shop) -> None:
    """As where the ledger was away when the failure should have been judged."""
    for attempt in (1, 2, 3):
        trigger = shop.wait()
        assert trigger.attempt == attempt
        put_log(shop, trigger.cluster_id, DRIVER, "ExecutorLostFailure (slave lost)")
        shop.emr.terminate_job_flows(JobFlowIds=[trigger.cluster_id])
        if attempt < 3:
            with pytest.raises(AirflowException):
                resumed(shop, trigger)
    shop.tries += 1
    with pytest.raises(AirflowFailException):
        shop.waiting_task().execute(shop.context())
    assert len(shop.attempts()) == 3


def test_the_judged_attempt_is_the_one_that_was_waited_for(shop: Shop) -> None:
    trigger = shop.wait()
    shop.emr.terminate_job_flows(JobFlowIds=[trigger.cluster_id])
    newer = shop.create()
    with pytest.raises(AirflowException):
        resumed(shop, trigger)
    assert shop.is_live(newer)
    assert [attempt.state for attempt in shop.attempts()] == ["ended", "launched"]


def put_log(shop: Shop, cluster_id: str, name: str, *lines: str) -> None:
    body = gzip.compress("\n".join(lines).encode())
    shop.s3.put_object(Bucket=shop.bucket, Key=f"logs/{cluster_id}/{name}", Body=body)


DRIVER = "containers/application_1_0001/container_1_0001_01_000001/stderr.gz"
STEP = "steps/s-1/stderr.gz"
# as spark-submit 3.5 repeats Hadoop 3.4's words
FAILED_ON_YARN = (
    "26/11/22 02:10:00 INFO Client: Application report for application_1_0001 (state: FAILED)",
    "26/11/22 02:10:00 ERROR Client: Application diagnostics message: User application exited with status 1",
    'Exception in thread "main" org.apache.spark.SparkException: Application application_1_0001 finished with failed'
    " status",
)
KILLED_FOR_MEMORY = (
    "26/11/22 02:10:00 INFO Client: Application report for application_1_0001 (state: FAILED)",
    "26/11/22 02:10:00 ERROR Client: Application diagnostics message: Application application_1_0001 failed 1 times"
    " (global limit =2; local limit is =1) due to AM Container for appattempt_1_0001_000001 exited with  exitCode:"
    " -104",
    "Failing this attempt.Diagnostics: [2026-11-22 02:09:59.001]Container"
    " [pid=12,containerID=container_1_0001_01_000001] is running 104857600B beyond the 'PHYSICAL' memory limit."
    " Current usage: 6.1 GB of 6 GB physical memory used; 9.0 GB of 30 GB virtual memory used. Killing container.",
    "[2026-11-22 02:09:59.010]Container killed on request. Exit code is 143",
    ". Failing the application.",
    'Exception in thread "main" org.apache.spark.SparkException: Application application_1_0001 finished with failed'
    " status",
)


def test_a_driver_that_yarn_killed_is_judged_by_what_the_step_s_log_says(shop: Shop) -> None:
    trigger = shop.wait()
    put_log(
        shop, trigger.cluster_id, DRIVER, "26/11/22 02:09:59 ERROR ApplicationMaster: RECEIVED SIGNAL TERM"
    )
    put_log(shop, trigger.cluster_id, STEP, *KILLED_FOR_MEMORY)
    shop.emr.terminate_job_flows(JobFlowIds=[trigger.cluster_id])
    with pytest.raises(AirflowFailException, match="out_of_memory") as error:
        resumed(shop, trigger)
    assert "RECEIVED SIGNAL TERM" in str(error.value)
    assert "beyond the 'PHYSICAL' memory limit" in str(error.value)


@pytest.mark.parametrize(
    ("logs", "waits"),
    [
        ({DRIVER: ("Traceback",)}, True),
        ({STEP: FAILED_ON_YARN}, True),
        ({STEP: FAILED_ON_YARN, DRIVER: ("Traceback",)}, False),
        # the driver ran in spark-submit itself: no other log will come
        ({STEP: ("Traceback",)}, False),
    ],
)
def test_a_failure_is_judged_once_all_that_may_tell_its_cause_has_come(
    busy_shop: Shop, logs: dict[str, tuple[str, ...]], waits: bool
) -> None:
    trigger = busy_shop.wait()
    for name, lines in logs.items():
        put_log(busy_shop, trigger.cluster_id, name, *lines)
    busy_shop.end_step_without_a_word(trigger.cluster_id)
    event = {"training_id": trigger.training_id, "attempt": 1}
    with pytest.raises(TaskDeferred if waits else AirflowException, match=None if waits else "Traceback"):
        busy_shop.waiting_task().execute_complete(busy_shop.context(), event)


def test_a_failure_without_a_word_waits_for_its_log_without_a_worker(busy_shop: Shop) -> None:
    trigger = busy_shop.wait()
    busy_shop.end_step_without_a_word(trigger.cluster_id)
    event = {"training_id": trigger.training_id, "attempt": 1}
    with pytest.raises(TaskDeferred) as deferred:
        busy_shop.waiting_task().execute_complete(busy_shop.context(), event)
    log_trigger = deferred.value.trigger
    assert isinstance(log_trigger, LogTrigger)
    assert log_trigger.payload == {**event, "log_waited": True}
    put_log(busy_shop, trigger.cluster_id, DRIVER, "something", "went wrong")
    put_log(busy_shop, trigger.cluster_id, STEP, *FAILED_ON_YARN)

    async def first() -> TriggerEvent:
        return await anext(aiter(log_trigger.run()))

    resumed_with = asyncio.run(first()).payload
    with pytest.raises(AirflowException, match="went wrong"):
        busy_shop.waiting_task().execute_complete(busy_shop.context(), resumed_with)


def test_a_cluster_that_ran_no_step_has_no_log_to_wait_for(shop: Shop) -> None:
    trigger = shop.wait()
    shop.emr.terminate_job_flows(JobFlowIds=[trigger.cluster_id])
    event = {"training_id": trigger.training_id, "attempt": 1}
    with pytest.raises(AirflowException, match="Terminated by user request"):
        shop.waiting_task().execute_complete(shop.context(), event)
    assert shop.attempts()[0].state == "ended"


def test_the_error_tells_emr_s_reason_the_end_of_the_driver_s_log_and_the_places(shop: Shop) -> None:
    trigger = shop.wait()
    put_log(shop, trigger.cluster_id, "steps/s-1/stderr.gz", "spark-submit says little")
    put_log(shop, trigger.cluster_id, DRIVER, *(f"line {number}" for number in range(100)))
    shop.emr.terminate_job_flows(JobFlowIds=[trigger.cluster_id])
    with pytest.raises(AirflowException) as error:
        resumed(shop, trigger)
    told = str(error.value)
    assert f"cluster {trigger.cluster_id} ended as TERMIN" in told
    assert "Terminated by user request" in told
    assert f"s3://{shop.bucket}/logs/{trigger.cluster_id}/{DRIVER}" in told
    assert "line 60" in told
    assert "line 99" in told
    assert "line 59" not in told
    assert shop.attempts()[0].output_uri in told
    assert "spark-submit says little" not in told


def test_a_log_that_never_comes_is_named_by_its_place(shop: Shop) -> None:
    trigger = shop.wait()
    shop.emr.terminate_job_flows(JobFlowIds=[trigger.cluster_id])
    with pytest.raises(
        AirflowException, match=f"logs: s3://{shop.bucket}/logs/{trigger.cluster_id}/ .none has come yet"
    ):
        resumed(shop, trigger)
