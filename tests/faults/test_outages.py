"""AWS or the ledger away for a while: it delays, and fails no training."""

from __future__ import annotations

import signal
import threading

from local_aws.faults.kinds import AnswerLate, Throttle
from tests.faults.installation import Yard, wait_for
from tests.faults.runs import Run, new_run
from tests.faults.together import at_once

# how long an outage lasts: not a wait for anything, but the fault itself
MINUTE = 60


def outage(seconds: float) -> None:
    threading.Event().wait(seconds)


def in_the_middle(yard: Yard, portfolio: str) -> Run:
    """A run of which one model waits while it is trained, and one is being launched: EMR has its cluster, and we have
    no answer yet.
    """
    run = new_run(yard, portfolio)
    # until after the outage has begun
    run.lasts("apples", 60)
    run.befall(AnswerLate(calls=("RunJobFlow",), cluster=run.clusters("pears"), delay_seconds=50, times=1))
    run.start()
    run.wait_until_waiting("apples")
    wait_for(lambda: run.account.lives(run.clusters("pears")), "the cluster of pears")
    assert run.attempts("pears")[0].cluster_id is None, "it was answered already"
    return run


@at_once
def test_every_call_throttled_for_two_minutes(yard: Yard) -> None:
    run = in_the_middle(yard, "throttled")
    run.befall(Throttle(for_seconds=2 * MINUTE))
    later = new_run(yard, "throttled").start()
    for each in (run, later):
        each.wait_until_over()
        each.assert_sound()
        assert set(each.tries().values()) == {1}, "throttling failed a task"


@at_once
def test_an_aws_that_does_not_answer_for_a_minute(yard: Yard) -> None:
    run = in_the_middle(yard, "stalled")
    assert run.account.process is not None
    run.account.process.send_signal(signal.SIGSTOP)
    outage(MINUTE)
    run.account.process.send_signal(signal.SIGCONT)
    run.wait_until_over()
    run.assert_sound()


@at_once
def test_a_local_aws_that_crashed_and_is_down_for_a_minute(yard: Yard) -> None:
    run = in_the_middle(yard, "crashed")
    run.account.kill()
    outage(MINUTE)
    run.account.start()
    run.wait_until_over()
    # a laptop's clusters end with the process that plays them, and each training gets another
    fresh = ["internal_error", "succeeded"]
    run.assert_sound({model: fresh for model in run.models if run.outcomes(model) != ["succeeded"]})
    assert run.outcomes("apples") == run.outcomes("pears") == fresh


@at_once
def test_a_ledger_that_is_down_for_a_minute(yard: Yard) -> None:
    run = in_the_middle(yard, "unrecorded")
    # the end of its training can be written nowhere: publish finds it out
    run.finish_job("apples")
    yard.mortal_postgres.stop(mode="immediate")
    outage(MINUTE)
    yard.mortal_postgres.start()
    run.wait_until_over()
    run.assert_sound()
