from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowFailException

from trainyard import connections
from trainyard.operators import Plan

if TYPE_CHECKING:
    from conftest import Shop


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, "is not set"),
        ("{}", "deployment"),
        ('{"deployment": "Über"}', "Über"),
        ('{"deployment": "laptop", "cap": 5}', "cap"),
        ("laptop", "Invalid JSON"),
    ],
)
def test_a_mistaken_account_fails_the_run_before_anything_is_made(
    shop: Shop, value: str | None, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_VAR_TRAINYARD_ACCOUNT")
    monkeypatch.setattr(connections.Variable, "get", lambda _name, default: value or default)
    with pytest.raises(AirflowFailException, match="trainyard_account") as error:
        Plan(task_id="plan", portfolio=shop.portfolio).choose_branch(
            {**shop.context(), "params": {"models": [], "data_date": None, "publish": True}}
        )
    assert sentence in str(error.value)
    assert 'expected a JSON object such as {"deployment": "production"}' in str(error.value)


def test_a_request_that_emr_would_refuse_fails_the_run_before_anything_is_launched(shop: Shop) -> None:
    model = shop.portfolio.models["hotels"]
    cluster = model.cluster.model_copy(update={"job_flow_role": "x" * 10_281})
    models = {"hotels": model.model_copy(update={"cluster": cluster})}
    portfolio = shop.portfolio.model_copy(update={"models": models})
    context = {**shop.context(), "params": {"models": [], "data_date": None, "publish": True}}
    context["dag_run"].run_after = datetime.now(timezone.utc)
    with pytest.raises(
        AirflowFailException, match=r"model hotels: JobFlowRole: .* at most 10280 are accepted"
    ):
        Plan(task_id="plan", portfolio=portfolio).choose_branch(context)


def test_a_model_that_could_never_fit_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    context = {**shop.context(), "params": {"models": [], "data_date": None, "publish": True}}
    context["dag_run"].run_after = datetime.now(timezone.utc)
    monkeypatch.setenv("AIRFLOW_VAR_TRAINYARD_ACCOUNT", '{"deployment": "laptop", "max_vcpus": 5}')
    with pytest.raises(
        AirflowFailException, match=r"hotels: its cluster has up to 6 vCPUs, and max_vcpus .* is 5"
    ):
        Plan(task_id="plan", portfolio=shop.portfolio).choose_branch(context)
