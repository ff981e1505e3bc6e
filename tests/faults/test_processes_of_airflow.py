"""Airflow's own processes killed, stalled and doubled: every training comes through, on the cluster that it has."""

from __future__ import annotations

import signal

import pytest

from local_aws.faults.kinds import AnswerLate
from tests.faults.installation import PARTS, Yard, wait_for
from tests.faults.runs import Run, new_run, reap

pytestmark = pytest.mark.timeout(600)


def wait_for_polls(run: Run, number: int) -> None:
    """Until EMR has been polled so many times from now on."""
    before = len(run.account.calls("ListClusters"))
    wait_for(lambda: len(run.account.calls("ListClusters")) >= before + number, "polls of EMR")


def test_the_triggerer_restarted_and_killed_while_fifty_wait(yard_alone: Yard) -> None:
    run = new_run(yard_alone, "crowd")
    for model in run.models:
        run.lasts(model, 150)
    run.start()
    run.wait_until_waiting()
    airflow = yard_alone.airflow
    airflow.terminate("triggerer")
    airflow.start("triggerer")
    wait_for_polls(run, 2)
    airflow.kill("triggerer")
    # nobody is there who could be told of it
    run.mark("tree_00", "failed")
    airflow.start("triggerer")
    run.wait_until_over()
    run.assert_sound({"tree_00": ["launched"]}, strays={"tree_00"})
    reap(airflow)
    run.wait_until_gone("tree_00")
    run.assert_sound({"tree_00": ["reaped"]})


def test_one_of_two_triggerers_stalled_for_a_minute(yard_alone: Yard) -> None:
    airflow, run = yard_alone.airflow, new_run(yard_alone, "row")
    run.lasts("apples", 30)
    run.lasts("pears", 60)
    run.lasts("plums", 150)
    run.start()
    run.wait_until_waiting()
    first = {run.task(f"{model}.wait_for_training")["triggerer_job"]["id"] for model in run.models}
    assert len(first) == 1
    airflow.start("triggerer-2")
    airflow.signal("triggerer", signal.SIGSTOP)

    def taken_over() -> bool:
        job = run.task("plums.wait_for_training")["triggerer_job"]
        return bool(job) and job["id"] not in first

    wait_for(taken_over, "the second triggerer to take over", seconds=120)
    wait_for(lambda: run.outcomes("pears") == ["succeeded"], "a training to end with the second triggerer")
    airflow.signal("triggerer", signal.SIGCONT)
    run.wait_until_over()
    run.assert_sound()
    assert run.account.calls("TerminateJobFlows", run.clusters("plums")) == []
    airflow.terminate("triggerer-2")


def test_the_scheduler_killed_and_restarted(yard_alone: Yard) -> None:
    airflow, run = yard_alone.airflow, new_run(yard_alone, "orchard")
    run.lasts("apples", 20)
    run.befall(AnswerLate(calls=("RunJobFlow",), cluster=run.clusters("pears"), delay_seconds=40, times=1))
    run.start()
    run.wait_until_waiting("apples")
    wait_for(lambda: run.account.lives(run.clusters("pears")), "the cluster of pears")
    # the executor's workers are the scheduler's own, and go with it: the answer finds nobody
    airflow.kill("scheduler")
    assert run.attempts("pears")[0].cluster_id is None
    airflow.start("scheduler")
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
            run.lasts("apples", 900)
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
