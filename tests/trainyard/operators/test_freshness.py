from __future__ import annotations

from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException

from trainyard.operators import Freshness


def freshness(*statuses: str, min_fresh: int | None) -> None:
    outcomes = [
        {"model": f"model_{number}", "status": status, "sentence": "because"}
        for number, status in enumerate(statuses)
    ]
    report = {"data_date": "2026-11-22", "outcomes": outcomes}
    context = {"ti": SimpleNamespace(xcom_pull=lambda task_ids: report)}
    Freshness(task_id="freshness", min_fresh=min_fresh).execute(context)


def test_a_run_is_red_where_fewer_models_are_fresh_than_demanded() -> None:
    freshness("activated", "recorded", "measured", min_fresh=None)
    freshness("activated", "failed", min_fresh=1)
    # a choice of fewer models than are demanded of a whole night
    freshness("activated", min_fresh=3)
    with pytest.raises(
        AirflowFailException, match=r"1 of 2 models are fresh .* 2 are demanded\. model_1: because"
    ):
        freshness("activated", "failed", min_fresh=None)
