"""The reaper's pruning: every portfolio whose file can be read, and a word about the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException

from trainyard import databases
from trainyard.operators import Prune

PORTFOLIO = """
portfolio: shop
schedule: null
start_date: 2026-11-01
owner: data-science
inputs: {train: "s3://bucket/{model}/{data_date}/train/", test: "s3://bucket/{model}/{data_date}/test/"}
output_root: s3://bucket/models
defaults:
  num_features: 10
  learner: {params: {regParam: 0.1}}
  cluster:
    log_uri: s3://bucket/logs/
    primary: {instance_type: m7g.large}
    core: {instance_type: m7g.large, count: 1}
models:
  hotels:
"""


def test_a_broken_portfolio_is_told_once_the_others_are_pruned(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("APP_DB", "ANALYTICS_DB"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", database_url)
    engine = databases.engine(database_url)
    databases.upgrade_app_db(engine)
    databases.upgrade_analytics_db(engine)
    engine.dispose()
    (tmp_path / "shop.yaml").write_text(PORTFOLIO)
    task = Prune(task_id="prune", folder=tmp_path)
    assert task.execute({}) == {"shop": {"versions": 0, "curves": 0}}
    (tmp_path / "another.yaml").write_text("portfolio: another\n")
    caplog.clear()
    with caplog.at_level("INFO"), pytest.raises(AirflowFailException, match="another"):
        task.execute({})
    assert "shop: 0 artifacts" in caplog.text
