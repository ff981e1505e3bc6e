"""Airflow's own processes killed, stalled and doubled: every training comes through, on the cluster that it has."""

from __future__ import annotations

import signal

import pytest

from local_aws.faults.kinds import AnswerLate
from tests.faults.installation import PARTS, Airflow, Yard, wait_for
from tests.faults.runs import Run, new_run, reap

pytestmark = pytest.mark.timeout(1800)


def wait_for_polls(run: Run, number: int) -> None:
    """Until EMR has been polled so many times from now on."""
    before = len(run.account.calls("ListClusters"))
    wait_for(lambda: len(run.account.calls("ListClusters")) >= before + number, "polls of EMR")


def test_the_triggerer_restarted_and_killed_while_fifty_wait(yard_alone: Yard) -> None:
    airflow, run = yard_alone.airflow, new_run(yard_alone, "crowd")
    one, *others = run.models
    held_one, held = run.hold(one), run.hold(*others)
    run.start()
    run.wait_until_waiting()
    airflow.terminate("triggerer")
    airflow.start("triggerer")
    wait_for_polls(run, 2)
    airflow.kill("triggerer")
    # nobody is there who could be told of it
    run.mark(one, "failed")
    airflow.start("triggerer")
    run.release(held)
    run.wait_until_over()
    run.assert_sound({one: ["launched"]}, strays={one})
    reap(airflow)
    run.wait_until_gone(one)
    run.assert_sound({one: ["reaped"]})
    run.release(held_one)


def test_one_of_two_triggerers_stalled_for_a_minute(yard_alone: Yard) -> None:
    airflow, run = yard_alone.airflow, new_run(yard_alone, "row")
    held_pears, held_plums = run.hold("pears"), run.hold("plums")
    run.start()
    run.wait_until_waiting()
    (first,) = {run.triggerer(model) for model in ("pears", "plums")}
    airflow.start("triggerer-2")
    airflow.signal("triggerer", signal.SIGSTOP)
    wait_for(lambda: run.triggerer("plums") not in (None, first), "the second triggerer to take over")
    run.release(held_pears)
    wait_for(lambda: run.outcomes("pears") == ["succeeded"], "a training to end with the second triggerer")
    airflow.signal("triggerer", signal.SIGCONT)
    # the stalled one finds that its triggers are another's, and ends them as if a person had
    let_go = f"plums.wait_for_training of {run.run_id} still waits elsewhere"
    wait_for(lambda: let_go in log_of(airflow, "triggerer"), "the stalled triggerer to let go")
    run.release(held_plums)
    run.wait_until_over()
    run.assert_sound()
    assert run.account.calls("TerminateJobFlows", run.clusters("plums")) == []
    airflow.terminate("triggerer-2")


def log_of(airflow: Airflow, part: str) -> str:
    return (airflow.settings.logs / f"{part}.log").read_text(errors="replace")


def test_the_scheduler_killed_and_restarted(yard_alone: Yard) -> None:
    airflow, run = yard_alone.airflow, new_run(yard_alone, "orchard")
    held = run.hold("apples")
    run.befall(AnswerLate(calls=("RunJobFlow",), cluster=run.clusters("pears"), delay_seconds=50, times=1))
    run.start()
    run.wait_until_waiting("apples")
    wait_for(lambda: run.account.lives(run.clusters("pears")), "the cluster of pears")
    # the executor's workers are the scheduler's own, and go with it: the answer finds nobody
    airflow.kill("scheduler")
    assert run.attempts("pears")[0].cluster_id is None
    airflow.start("scheduler")
    run.release(held)
    run.wait_until_over()
    run.assert_sound()


def test_two_deployments_in_one_account(yard_alone: Yard) -> None:
    far = yard_alone.far_airflow
    far.start(*PARTS)
    try:
        far.wait_until_healthy()
        far.wait_until_parsed({"orchard", "reaper_now"})
        # alike in everything but the deployment, whose id is the other's and more
        near_run = new_run(yard_alone, "orchard")
        far_run = new_run(yard_alone, "orchard", far=True, run_id=near_run.run_id)
        for run in (near_run, far_run):
            run.hold("apples")
            run.start()
        for run in (near_run, far_run):
            run.wait_until_waiting("apples")
        reap(yard_alone.airflow)
        reap(far)
        near_run.mark("apples", "failed")
        near_run.wait_until_gone("apples")
        near_run.wait_until_over()
        near_run.assert_sound({"apples": ["task_ended"]})
        assert "apples" in far_run.strays(), "another deployment's cluster was ended"
        far_run.mark("apples", "failed")
        far_run.wait_until_gone("apples")
        far_run.wait_until_over()
        far_run.assert_sound({"apples": ["task_ended"]})
    finally:
        far.kill_all()
