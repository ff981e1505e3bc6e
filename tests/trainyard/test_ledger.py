"""The ledger on a real PostgreSQL: numbering under concurrency, and states that it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from threading import Barrier

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from trainyard import ledger
from trainyard.costs import AskedInstances
from trainyard.databases import engine, upgrade_app_db
from trainyard.ledger import ClusterId, LedgerError, StepId
from trainyard.training import Sha256, Training

TRAINING = Training(
    deployment="laptop",
    portfolio="demo",
    model="hotels",
    data_date=date(2026, 11, 22),
    dag_id="demo",
    run_id="manual__2026-11-23T02:00:00+00:00",
    output_root="s3://trainyard-output/models",
)
ID = TRAINING.training_id


@pytest.fixture
def app(database_url: str) -> Iterator[Engine]:
    app = engine(database_url)
    upgrade_app_db(app)
    yield app
    app.dispose()


def allocate(app: Engine, training: Training = TRAINING) -> ledger.Attempt:
    return ledger.allocate(app, training=training, aws_conn_id="aws_default")


def test_an_attempt_is_written_down_before_anything_is_launched(app: Engine) -> None:
    attempt = allocate(app)
    assert (attempt.attempt, attempt.state, attempt.outcome, attempt.cluster_id) == (
        1,
        "intended",
        None,
        None,
    )
    assert attempt.cluster_name == f"trainyard-laptop-demo-hotels-{ID}-attempt-1"
    assert (
        attempt.output_uri == f"s3://trainyard-output/models/trainings/demo/hotels/2026-11-22/{ID}/attempt-1/"
    )
    assert attempt.intended_at.utcoffset() == timedelta(0)
    assert ledger.attempts(app, ID) == [attempt]


def test_a_retry_before_the_end_resumes_the_same_attempt(app: Engine) -> None:
    first = allocate(app)
    assert allocate(app) == first
    launched = ledger.record_launch(app, training_id=ID, attempt=1, cluster_id=ClusterId("j-1"))
    assert allocate(app) == launched


def test_who_leaves_the_queue_ends_no_attempt_that_has_got_its_slot_meanwhile(app: Engine) -> None:
    def leave() -> ledger.Attempt:
        return ledger.end(app, training_id=ID, attempt=1, outcome="abandoned", only_queued=True)

    reservation = ledger.Reservation(queued=True)
    ledger.allocate(app, training=TRAINING, aws_conn_id="aws_default", reservation=reservation)
    limits = ledger.Limits(max_live_clusters=1)
    ledger.admit(app, limits=limits, aws_conn_id="aws_default", asking=[(ID, 1)])
    assert leave().state == "intended"
    ledger.record_launch(app, training_id=ID, attempt=1, cluster_id=ClusterId("j-1"))
    assert leave().state == "launched"
    later = replace(TRAINING, run_id="manual__later")
    ledger.allocate(app, training=later, aws_conn_id="aws_default", reservation=reservation)
    left = ledger.end(app, training_id=later.training_id, attempt=1, outcome="abandoned", only_queued=True)
    assert (left.state, left.outcome) == ("ended", "abandoned")


def test_a_retry_after_the_end_gets_the_next_number(app: Engine) -> None:
    for number in (1, 2, 3):
        assert allocate(app).attempt == number
        ledger.end(app, training_id=ID, attempt=number, outcome="failed", failure_code="spot_lost")
    assert [attempt.attempt for attempt in ledger.attempts(app, ID)] == [1, 2, 3]


def test_twenty_callers_at_once_get_one_attempt_and_leave_no_gap(app: Engine) -> None:
    together = Barrier(20)

    def call(_: int) -> int:
        together.wait()
        return allocate(app).attempt

    with ThreadPoolExecutor(20) as threads:
        for number in range(1, 6):
            assert set(threads.map(call, range(20))) == {number}
            ledger.end(app, training_id=ID, attempt=number, outcome="failed")
    assert [attempt.attempt for attempt in ledger.attempts(app, ID)] == [1, 2, 3, 4, 5]


def test_callers_racing_with_ends_never_hold_two_unfinished_attempts(app: Engine) -> None:
    def call(_: int) -> int:
        attempt = allocate(app)
        ledger.end(app, training_id=ID, attempt=attempt.attempt, outcome="abandoned")
        return attempt.attempt

    with ThreadPoolExecutor(20) as threads:
        numbers = set(threads.map(call, range(60)))
    made = [attempt.attempt for attempt in ledger.attempts(app, ID)]
    assert made == list(range(1, len(made) + 1))
    assert numbers == set(made)


def test_trainings_do_not_share_numbers(app: Engine) -> None:
    other = Training(**{**TRAINING.__dict__, "model": "flights"})
    allocate(app)
    ledger.end(app, training_id=ID, attempt=1, outcome="succeeded")
    assert allocate(app, other).attempt == 1
    assert allocate(app).attempt == 2
    found = ledger.attempts_by_training(app, [ID, other.training_id])
    assert {training_id: len(attempts) for training_id, attempts in found.items()} == {
        ID: 2,
        other.training_id: 1,
    }


def test_the_way_of_an_attempt(app: Engine) -> None:
    allocate(app)
    request = Sha256("a" * 64)
    assert (
        ledger.record_request(app, training_id=ID, attempt=1, request_sha256=request).request_sha256
        == request
    )
    launched = ledger.record_launch(app, training_id=ID, attempt=1, cluster_id=ClusterId("j-1"))
    assert (launched.state, launched.cluster_id, launched.step_id) == ("launched", "j-1", None)
    assert launched.launched_at is not None
    assert ledger.record_step(app, training_id=ID, attempt=1, step_id=StepId("s-1")).step_id == "s-1"
    ended = ledger.end(app, training_id=ID, attempt=1, outcome="succeeded")
    assert (ended.state, ended.outcome) == ("ended", "succeeded")
    assert ended.ended_at is not None
    assert ended.ended_at >= launched.launched_at >= ended.intended_at


def asked(count: int) -> tuple[AskedInstances, ...]:
    return (AskedInstances(role="CORE", instance_type="m5.xlarge", count=count, market="SPOT"),)


def test_what_the_cluster_was_asked_to_have_stays_as_it_was_at_the_launch(app: Engine) -> None:
    key = {"training_id": ID, "attempt": 1}
    assert allocate(app).instances is None
    for count in (1, 2):
        recorded = ledger.record_request(app, **key, request_sha256=Sha256("a" * 64), instances=asked(count))
        assert recorded.instances == asked(count)
    ledger.record_launch(app, **key, cluster_id=ClusterId("j-1"))
    ledger.record_request(app, **key, request_sha256=Sha256("a" * 64), instances=asked(3))
    ledger.end(app, **key, outcome="failed")
    assert [attempt.instances for attempt in ledger.attempts(app, ID)] == [asked(2)]


def test_recording_the_same_thing_twice_is_no_error(app: Engine) -> None:
    allocate(app)
    for _ in range(2):
        ledger.record_launch(
            app, training_id=ID, attempt=1, cluster_id=ClusterId("j-1"), step_id=StepId("s-1")
        )
        ledger.record_step(app, training_id=ID, attempt=1, step_id=StepId("s-1"))
    first = ledger.attempts(app, ID)
    ledger.record_launch(app, training_id=ID, attempt=1, cluster_id=ClusterId("j-1"))
    assert ledger.attempts(app, ID) == first


def test_a_second_cluster_for_one_attempt_is_refused_and_both_are_named(app: Engine) -> None:
    allocate(app)
    ledger.record_launch(app, training_id=ID, attempt=1, cluster_id=ClusterId("j-1"))
    with pytest.raises(LedgerError, match=r"hotels: attempt 1 .* cluster j-1 .* 'j-2'"):
        ledger.record_launch(app, training_id=ID, attempt=1, cluster_id=ClusterId("j-2"))


def test_a_request_is_not_rewritten_under_a_launch_or_a_launched_cluster(app: Engine) -> None:
    allocate(app)
    ledger.record_request(app, training_id=ID, attempt=1, request_sha256=Sha256("a" * 64))
    with pytest.raises(LedgerError, match="is intended with cluster None"):
        ledger.record_request(app, training_id=ID, attempt=1, request_sha256=Sha256("b" * 64))
    ledger.record_launch(app, training_id=ID, attempt=1, cluster_id=ClusterId("j-1"))
    with pytest.raises(LedgerError, match="is launched with cluster j-1"):
        ledger.record_request(app, training_id=ID, attempt=1, request_sha256=Sha256("b" * 64))


def test_the_first_end_stays(app: Engine) -> None:
    allocate(app)
    first = ledger.end(
        app, training_id=ID, attempt=1, outcome="failed", failure_code="a", failure_reason="First."
    )
    assert ledger.end(app, training_id=ID, attempt=1, outcome="succeeded") == first
    assert ledger.attempts(app, ID) == [first]


def test_a_cluster_launched_after_the_end_is_not_lost_sight_of(app: Engine) -> None:
    allocate(app)
    ledger.end(app, training_id=ID, attempt=1, outcome="abandoned")
    late = ledger.record_launch(app, training_id=ID, attempt=1, cluster_id=ClusterId("j-late"))
    assert (late.state, late.outcome, late.cluster_id) == ("ended", "abandoned", "j-late")


def test_an_attempt_that_was_never_allocated_is_named(app: Engine) -> None:
    with pytest.raises(LedgerError, match=f"training {ID} has no attempt 7"):
        ledger.end(app, training_id=ID, attempt=7, outcome="failed")
    with pytest.raises(LedgerError, match=f"training {ID} has no attempt 7"):
        ledger.record_launch(app, training_id=ID, attempt=7, cluster_id=ClusterId("j-1"))


@pytest.mark.parametrize(
    "impossible",
    [
        "state = 'launched'",
        "state = 'ended'",
        "state = 'resting'",
        "outcome = 'succeeded'",
        "cluster_id = 'j-1'",
        "step_id = 's-1'",
        "launched_at = now()",
        "ended_at = now()",
        "failure_code = 'because'",
        "state = 'ended', ended_at = now(), outcome = 'succeeded', failure_code = 'because'",
        "state = 'ended', ended_at = now(), outcome = 'unlucky'",
        "attempt = 0",
        "training_id = 'ABC'",
        "request_sha256 = 'short'",
        "vcpus = 0",
    ],
)
def test_the_database_refuses_a_state_that_cannot_be(app: Engine, impossible: str) -> None:
    allocate(app)
    with pytest.raises(IntegrityError, match="violates check constraint"), app.begin() as connection:
        connection.execute(text(f"UPDATE operations.attempt SET {impossible}"))


def test_the_database_refuses_a_second_unfinished_attempt(app: Engine) -> None:
    allocate(app)
    copy = """
        INSERT INTO operations.attempt
            (training_id, attempt, deployment, portfolio, model, data_date, dag_id, run_id, output_uri,
             aws_conn_id, cluster_name)
        SELECT training_id, 2, deployment, portfolio, model, data_date, dag_id, run_id, output_uri,
               aws_conn_id, 'other'
        FROM operations.attempt
    """
    with pytest.raises(IntegrityError, match="one_unfinished_attempt"), app.begin() as connection:
        connection.execute(text(copy))
