from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

os.environ.setdefault("AIRFLOW__CORE__UNIT_TEST_MODE", "True")

from airflow import plugins_manager
from airflow.providers.amazon.aws.operators.emr import EmrCreateJobFlowOperator
from airflow.providers.amazon.aws.sensors.emr import EmrStepSensor
from airflow.sdk.definitions.param import process_params
from airflow.serialization.serialized_objects import DagSerialization

from trainyard.dag_factory import portfolio_dag, reaper_dag
from trainyard.operators import attempt_link
from trainyard.operators.attempt_link import ATTEMPT_LINKS
from trainyard.portfolio import PortfolioError

PORTFOLIO = """
portfolio: shop
schedule: "0 2 * * *"
start_date: 2026-11-01
time_zone: Europe/Berlin
owner: data-science
tags: [pricing]
inputs:
  train: s3://features/{model}/{data_date}/train/
  test: s3://features/{model}/{data_date}/test/
output_root: s3://output/models
defaults:
  num_features: 10
  learner: {name: LogisticRegression, params: {regParam: 0.1}}
  cluster:
    log_uri: s3://output/logs
    primary: {instance_type: m7g.xlarge}
    core: {instance_type: m7g.xlarge, count: 2}
models:
  zebra:
  apple: {num_features: 20}
"""


@pytest.fixture
def dag_file(tmp_path: Path) -> Path:
    (tmp_path / "portfolios").mkdir()
    (tmp_path / "portfolios" / "shop.yaml").write_text(PORTFOLIO)
    return tmp_path / "shop.py"


def test_the_dag_has_two_tasks_per_model_and_ends_in_freshness(dag_file: Path) -> None:
    dag = portfolio_dag(str(dag_file))
    assert sorted(dag.task_ids) == [
        "apple.create_cluster",
        "apple.wait_for_training",
        "freshness",
        "plan",
        "publish",
        "zebra.create_cluster",
        "zebra.wait_for_training",
    ]
    edges = {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks}
    assert edges["plan"] == ["apple.create_cluster", "zebra.create_cluster"]
    assert edges["apple.create_cluster"] == ["apple.wait_for_training"]
    assert edges["apple.wait_for_training"] == edges["zebra.wait_for_training"] == ["publish"]
    assert edges["publish"] == ["freshness"]
    assert edges["freshness"] == []


def test_a_portfolio_that_asks_for_approval_judges_and_asks_before_it_publishes(dag_file: Path) -> None:
    path = dag_file.parent / "portfolios" / "shop.yaml"
    path.write_text(f"{path.read_text()}approval: {{within: 2 hours, unanswered: approve}}\n")
    dag = portfolio_dag(str(dag_file))
    edges = {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks}
    assert edges["apple.wait_for_training"] == edges["zebra.wait_for_training"] == ["judge", "publish"]
    assert (edges["judge"], edges["approve"]) == (["approve", "publish"], ["publish"])
    # a failed model, a rejection and a failed judge all come to publish
    assert [dag.get_task(name).trigger_rule for name in ("judge", "publish")] == ["all_done", "all_done"]
    approve: Any = dag.get_task("approve")
    assert (approve.response_timeout, approve.defaults) == (timedelta(hours=2), ["Approve"])
    # the run's own parameters are no part of the question
    assert list(approve.params) == ["hold_back"]


def test_the_tasks_are_the_provider_s_operators(dag_file: Path) -> None:
    dag = portfolio_dag(str(dag_file))
    assert isinstance(dag.get_task("apple.create_cluster"), EmrCreateJobFlowOperator)
    assert isinstance(dag.get_task("apple.wait_for_training"), EmrStepSensor)
    assert dag.get_task("publish").trigger_rule == "all_done"
    assert dag.get_task("freshness").retries == 0
    # the ledger holds a training to its model's two
    assert dag.get_task("apple.wait_for_training").retries == 12


def test_waits_begin_in_the_triggerer_up_to_as_many_models_as_the_deployment_allows(
    dag_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []
    for most in ("2", "1"):
        monkeypatch.setenv("AIRFLOW__TRAINYARD__MODELS_BEGUN_IN_TRIGGERER", most)
        dag = DagSerialization.from_dict(DagSerialization.to_dict(portfolio_dag(str(dag_file))))
        wait = dag.get_task("apple.wait_for_training")
        begun.append((wait.start_from_trigger, wait.start_trigger_args))
    (in_triggerer, arguments), on_a_worker = begun
    assert in_triggerer is True
    assert arguments is not None
    assert (arguments.trigger_cls, arguments.next_method) == ("trainyard.watcher.LaunchedTrigger", "go_on")
    assert on_a_worker == (False, None)


def test_two_parses_serialize_to_the_same_so_that_no_parse_makes_a_dag_version(dag_file: Path) -> None:
    first, second = (DagSerialization.to_dict(portfolio_dag(str(dag_file))) for _ in range(2))
    assert first == second


def test_the_schedule_goes_by_the_portfolio_s_time_zone(dag_file: Path) -> None:
    timetable: Any = portfolio_dag(str(dag_file)).timetable
    assert timetable.expression == "0 2 * * *"
    assert "Europe/Berlin" in str(timetable.timezone)


def test_a_broken_portfolio_is_an_import_error_that_names_the_place(dag_file: Path) -> None:
    path = dag_file.parent / "portfolios" / "shop.yaml"
    path.write_text(path.read_text().replace("num_features: 20", "num_featurs: 20"))
    with pytest.raises(PortfolioError, match=r"shop\.yaml:\d+: model apple, num_featurs"):
        portfolio_dag(str(dag_file))


def on_a_worker(monkeypatch: pytest.MonkeyPatch, task_id: str) -> None:
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "shop")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", task_id)


@pytest.mark.parametrize("task", ["create_cluster", "wait_for_training"])
def test_a_worker_builds_its_own_model_s_tasks_and_no_other_s(
    dag_file: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    whole = portfolio_dag(str(dag_file))
    on_a_worker(monkeypatch, f"apple.{task}")
    dag = portfolio_dag(str(dag_file))
    assert sorted(dag.task_ids) == [
        "apple.create_cluster",
        "apple.wait_for_training",
        "freshness",
        "plan",
        "publish",
    ]
    own = dag.get_task(f"apple.{task}")
    assert own.portfolio.models["apple"] == whole.get_task(f"apple.{task}").portfolio.models["apple"]
    assert own.portfolio.sha256 == whole.get_task("plan").portfolio.sha256
    # what a run asks for is held against all models before any worker has a task of one
    asked = {"models": ["zebra", "of an older file"], "publish": False}
    assert process_params(dag, own, asked, suppress_exception=False) == asked


def test_a_worker_hands_over_by_the_number_of_all_models(
    dag_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_worker(monkeypatch, "apple.create_cluster")
    handed_over = []
    for most in ("2", "1"):
        monkeypatch.setenv("AIRFLOW__TRAINYARD__MODELS_BEGUN_IN_TRIGGERER", most)
        handed_over.append(portfolio_dag(str(dag_file)).get_task("apple.create_cluster").hands_over)
    assert handed_over == [True, False]


@pytest.mark.parametrize("task_id", ["plan", "publish", "freshness", "pear.create_cluster"])
def test_tasks_of_the_whole_run_are_built_with_all_models(
    dag_file: Path, monkeypatch: pytest.MonkeyPatch, task_id: str
) -> None:
    on_a_worker(monkeypatch, task_id)
    assert len(portfolio_dag(str(dag_file)).task_ids) == 7


def test_how_many_models_must_be_fresh_is_not_held_against_the_one_of_a_worker(
    dag_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dag_file.parent / "portfolios" / "shop.yaml"
    path.write_text(path.read_text() + "min_fresh: 2\n")
    on_a_worker(monkeypatch, "apple.create_cluster")
    assert portfolio_dag(str(dag_file)).has_task("apple.create_cluster")


def test_a_mistake_in_another_model_is_no_worker_s_of_this_one(
    dag_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dag_file.parent / "portfolios" / "shop.yaml"
    path.write_text(path.read_text().replace("zebra:", "zebra: {num_featurs: 1}"))
    on_a_worker(monkeypatch, "apple.create_cluster")
    assert portfolio_dag(str(dag_file)).has_task("apple.create_cluster")


def test_the_reaper_runs_every_hour_and_is_not_paused() -> None:
    dag = reaper_dag("dags/reaper.py")
    assert sorted(dag.task_ids) == ["prune", "reap"]
    assert dag.timetable.expression == "17 * * * *"
    assert dag.is_paused_upon_creation is False


def test_the_ui_knows_the_links_of_as_many_attempts_as_may_be_retried(
    dag_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins_manager, "get_operator_extra_links", lambda: ATTEMPT_LINKS)
    dag = DagSerialization.from_dict(DagSerialization.to_dict(portfolio_dag(str(dag_file))))
    for task in ("create_cluster", "wait_for_training"):
        assert set(dag.get_task(f"apple.{task}").operator_extra_link_dict) == {
            f"Attempt {number}: {what}" for number in range(1, 12) for what in ("cluster", "logs")
        }


def test_a_link_is_what_either_of_the_training_s_tasks_left(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = (
        {"2": {"cluster": "https://second"}, "1": "no URLs"},
        ["no attempts"],
        {
            "1": {"cluster": "https://first", "logs": "https://logs"},
            "2": {"cluster": "https://older", "logs": 7},
        },
    )
    left = ["nothing of ours", *({"attempts": each} for each in attempts)]
    monkeypatch.setattr(attempt_link, "_left", lambda *_, **__: left)
    key = SimpleNamespace(dag_id="shop", run_id="manual__1", task_id="apple.wait_for_training")
    found = {link.name: link.get_link(None, ti_key=key) for link in ATTEMPT_LINKS}
    assert {name: url for name, url in found.items() if url} == {
        "Attempt 1: cluster": "https://first",
        "Attempt 1: logs": "https://logs",
        "Attempt 2: cluster": "https://second",
    }
