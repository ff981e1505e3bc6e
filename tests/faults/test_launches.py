"""A launch that is cut off: whoever tries again finds what was made, and makes no second cluster."""

from __future__ import annotations

from local_aws.faults.kinds import DropReply
from tests.faults.installation import Yard
from tests.faults.runs import new_run
from tests.faults.together import at_once


@at_once
def test_a_worker_killed_right_after_run_job_flow_was_answered(yard: Yard) -> None:
    run = new_run(yard, "orchard")
    run.die_at("after-RunJobFlow", "apples")
    run.start().wait_until_over()
    run.assert_sound()
    assert run.tries()["apples.create_cluster"] == 2


@at_once
def test_a_worker_killed_right_before_run_job_flow(yard: Yard) -> None:
    run = new_run(yard, "orchard")
    run.die_at("before-RunJobFlow", "apples")
    run.start().wait_until_over()
    # nobody can know that the call was never sent: its name is not used again
    run.assert_sound({"apples": ["launch_unanswered", "succeeded"]})
    assert run.launches("apples") == 1
    assert run.attempts("apples")[0].cluster_id is None


@at_once
def test_the_reply_of_run_job_flow_lost(yard: Yard) -> None:
    run = new_run(yard, "orchard")
    run.befall(DropReply(calls=("RunJobFlow",), cluster=run.clusters("apples"), times=1))
    run.start().wait_until_over()
    run.assert_sound()
    # the same try looks for what it made
    assert run.tries()["apples.create_cluster"] == 1


@at_once
def test_two_runs_of_one_portfolio_at_once(yard: Yard) -> None:
    runs = [new_run(yard, "orchard") for _ in range(2)]
    held = [run.hold(*run.models) for run in runs]
    for run in runs:
        run.start()
    for run in runs:
        run.wait_until_waiting()
    assert [run.strays() for run in runs] == [set(run.models)] * 2, "they are not live at once"
    for run, clusters in zip(runs, held, strict=True):
        run.release(clusters)
        run.wait_until_over()
        run.assert_sound()
