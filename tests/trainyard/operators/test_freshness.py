from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from trainyard.operators import Freshness


def freshness(
    *statuses: str, min_fresh: int | None = None, stale: dict[str, str] | None = None, **more: Any
) -> None:
    outcomes = [
        {"model": f"model_{number}", "status": status, "sentence": "because", "decision_code": None}
        | {"version_id": 7, **more}
        for number, status in enumerate(statuses)
    ]
    report = {"data_date": "2026-11-22", "outcomes": outcomes, "stale": stale or {}}
    context = {"ti": SimpleNamespace(xcom_pull=lambda task_ids: report)}
    Freshness(task_id="freshness", min_fresh=min_fresh).execute(context)


def test_a_run_is_red_where_fewer_models_are_fresh_than_demanded() -> None:
    freshness("activated", "recorded", "measured")
    freshness("activated", "failed", min_fresh=1)
    # a choice of fewer models than are demanded of a whole night
    freshness("activated", min_fresh=3)
    with pytest.raises(
        AirflowFailException, match=r"1 of 2 models are fresh .* 2 are demanded\. model_1: because"
    ):
        freshness("activated", "failed")


def test_a_model_that_its_gate_or_a_person_held_back_is_fresh() -> None:
    freshness("held_back", "inconclusive", "recorded")
    freshness("held_back", decision_code="rejected")


def test_a_question_that_nobody_answered_is_not_green() -> None:
    with pytest.raises(AirflowFailException, match="model_0: because"):
        freshness("waiting_for_approval")
    # nobody is asked again about what is recorded, so that the person who comes late is told what is left to do
    with pytest.raises(AirflowFailException, match=r"model_0: because.*`trainyard rollback model_0 --to 7"):
        freshness("held_back", decision_code="unanswered")


def test_what_serves_and_is_too_old_makes_the_run_red_although_all_are_fresh() -> None:
    with pytest.raises(
        AirflowFailException,
        match=r"1 of 1 models are fresh.*model_0 is too old: what serves is of 2026-11-19.*model_0 was held back",
    ):
        freshness("held_back", stale={"model_0": "what serves is of 2026-11-19"})
