"""What a person does to a task, a run or a DAG that waits: its clusters end with it, and no others."""

from __future__ import annotations

from tests.faults.installation import Yard, wait_for
from tests.faults.runs import Run, new_run
from tests.faults.together import at_once

# who was first to end the cluster: the new try, or the old trigger
ENDED_BY_HAND = "superseded|task_ended"


def waiting(yard: Yard, portfolio: str, *models: str) -> Run:
    """A run whose models' first attempts would go on for long."""
    run = new_run(yard, portfolio)
    for model in models:
        run.lasts(model, 900)
    run.start()
    run.wait_until_waiting(*models)
    return run


@at_once
def test_a_waiting_task_cleared(yard: Yard) -> None:
    run = waiting(yard, "orchard", "apples")
    run.clear("apples.wait_for_training")
    run.wait_until_gone("apples")
    run.wait_until_over()
    run.assert_sound({"apples": [ENDED_BY_HAND, "succeeded"]})


@at_once
def test_a_waiting_task_cleared_and_marked_failed_before_a_worker_has_a_place_for_it(yard: Yard) -> None:
    """Its next try is deferred at once, and then has nothing that could be told of its end."""
    run = waiting(yard, "crowded_out", "apples")
    run.clear("apples.wait_for_training")
    wait_for(
        lambda: run.task("apples.wait_for_training")["state"] == "scheduled", "the next try to want a worker"
    )
    run.mark("apples", "failed")
    run.wait_until_gone("apples")
    assert run.wait_until_over() == "failed"
    run.assert_sound({"apples": ["task_ended"]})


@at_once
def test_a_waiting_model_cleared_from_its_launch_on(yard: Yard) -> None:
    run = waiting(yard, "orchard", "apples")
    run.clear("apples.create_cluster", "apples.wait_for_training")
    run.wait_until_gone("apples")
    run.wait_until_over()
    run.assert_sound({"apples": [ENDED_BY_HAND, "succeeded"]})


@at_once
def test_a_waiting_task_marked_failed(yard: Yard) -> None:
    run = waiting(yard, "orchard", "apples")
    run.mark("apples", "failed")
    run.wait_until_gone("apples")
    assert run.wait_until_over() == "failed"
    run.assert_sound({"apples": ["task_ended"]})


@at_once
def test_a_waiting_task_marked_success(yard: Yard) -> None:
    run = waiting(yard, "orchard", "apples")
    run.mark("apples", "success")
    run.wait_until_gone("apples")
    assert run.wait_until_over() == "failed", "a training without a manifest counts as one"
    run.assert_sound({"apples": ["task_ended"]})


@at_once
def test_a_run_marked_failed_and_deleted(yard: Yard) -> None:
    other, run = waiting(yard, "orchard", "apples"), waiting(yard, "orchard", "apples", "pears")
    run.airflow.api.patch("dags", "orchard", "dagRuns", run.run_id, body={"state": "failed"})
    run.airflow.api.delete("dags", "orchard", "dagRuns", run.run_id)
    for model in run.models:
        run.wait_until_gone(model)
    run.assert_sound({model: ["task_ended"] for model in run.models})
    assert other.strays() >= {"apples"}, "another run's cluster was ended as well"
    other.mark("apples", "failed")
    other.wait_until_over()
    other.assert_sound({"apples": ["task_ended"]})


@at_once
def test_a_dag_deleted_while_it_waits(yard: Yard) -> None:
    run = waiting(yard, "doomed", "apples", "pears")
    (yard.dags / "doomed.py").unlink()
    run.airflow.api.delete("dags", "doomed")
    for model in run.models:
        run.wait_until_gone(model)
    run.assert_sound({model: ["task_ended"] for model in run.models})
