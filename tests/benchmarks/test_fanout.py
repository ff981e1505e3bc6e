"""The contestants of `make bench-fanout` are for the same models, and what its jobs leave is what publishing reads."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from benchmarks.fanout import dag_files, jobs
from trainyard.publishing.artifact import check_artifact

Writer = Callable[[Path, Sequence[str]], Path]


@pytest.mark.parametrize(
    ("write", "others"),
    [(dag_files.write_ours, {"plan", "publish", "freshness"}), (dag_files.write_stock, {"plan", "publish"})],
)
def test_each_contestant_has_two_tasks_a_model(tmp_path: Path, write: Writer, others: set[str]) -> None:
    models = dag_files.model_names(3)
    dag = runpy.run_path(str(write(tmp_path, models)))["dag"]
    tasks = {f"{model}.{task}" for model in models for task in ("create_cluster", "wait_for_training")}
    assert set(dag.task_ids) == tasks | others


def test_dag_factory_is_given_what_the_stock_dag_asks_emr_for(tmp_path: Path) -> None:
    models = dag_files.model_names(3)
    stock = runpy.run_path(str(dag_files.write_stock(tmp_path, models)))["dag"]
    dag_files.write_dag_factory(tmp_path, models)
    tasks = yaml.safe_load((tmp_path / "dag_factory.yaml").read_text())["dag_factory"]["tasks"]
    assert len(tasks) == len(stock.task_ids)
    for model in models:
        stock_overrides = stock.get_task(f"{model}.create_cluster").job_flow_overrides
        assert tasks[f"{model}_create_cluster"]["job_flow_overrides"] == stock_overrides


def test_a_job_s_artifact_is_one_that_publishing_takes() -> None:
    request = {
        "num_features": 3,
        "feature_space": "shop",
        "lineage": {"code_sha256": "c" * 64, "portfolio_sha256": "d" * 64},
    }
    files = jobs.training_files(request, {"training_id": "0" * 16, "attempt": 2})
    artifact = check_artifact(files["artifact.json"], name="artifact.json")
    assert (artifact.num_features, artifact.lineage["attempt"]) == (3, 2)
    assert json.loads(files["metrics.json"])["threshold"] == artifact.threshold
