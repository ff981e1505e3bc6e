"""A cluster that comes to grief: its training gets a fresh one, and no other model is touched."""

from __future__ import annotations

from local_aws.faults.kinds import FailBootstrap, FailStep, HangStep, LoseNode, NoCapacity
from tests.faults.installation import Yard
from tests.faults.runs import new_run
from tests.faults.together import at_once


@at_once
def test_spot_instances_lost_in_the_middle_of_training(yard: Yard) -> None:
    run = new_run(yard, "orchard")
    run.befall(LoseNode(cluster=run.clusters("apples", 1), nodes="all", after_seconds=5))
    run.start().wait_until_over()
    run.assert_sound({"apples": ["instance_failure", "succeeded"]})


@at_once
def test_a_bootstrap_that_fails(yard: Yard) -> None:
    run = new_run(yard, "orchard")
    run.befall(FailBootstrap(cluster=run.clusters("apples", 1)))
    run.start().wait_until_over()
    run.assert_sound({"apples": ["bootstrap_failure", "succeeded"]})


@at_once
def test_capacity_that_is_never_given(yard: Yard) -> None:
    run = new_run(yard, "orchard")
    run.befall(NoCapacity(cluster=run.clusters("apples"), market="SPOT", gives_up_after_seconds=3))
    run.start().wait_until_over()
    run.assert_sound({"apples": ["no_capacity"] * 3})
    assert run.task("apples.wait_for_training")["state"] == "failed"


@at_once
def test_a_step_that_hangs_ends_by_the_job_s_own_deadline(yard: Yard) -> None:
    run = new_run(yard, "orchard")
    run.tell_failure("apples", 1, "deadline_exceeded")
    run.befall(FailStep(cluster=run.clusters("apples", 1), after_seconds=5))
    run.start().wait_until_over()
    run.assert_sound({"apples": ["deadline_exceeded", "succeeded"]})


@at_once
def test_a_step_whose_job_hangs_as_well_ends_by_our_deadline(yard: Yard) -> None:
    run = new_run(yard, "overdue")
    run.befall(HangStep(cluster=run.clusters("apples", 1)))
    run.start().wait_until_over()
    run.assert_sound({"apples": ["overdue", "succeeded"]})
