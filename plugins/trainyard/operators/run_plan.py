"""The run's plan, the XCom that ``plan`` leaves and all other tasks read, and the tasks' ids."""

from __future__ import annotations

from datetime import date
from typing import Any

from airflow.sdk.exceptions import AirflowFailException
from pydantic import BaseModel, ConfigDict

from trainyard.portfolio import Model, Portfolio, overridden
from trainyard.portfolio.gate import age
from trainyard.publishing import Answer, Policy
from trainyard.training import Training

PLAN_TASK = "plan"
JUDGE_TASK = "judge"
APPROVE_TASK = "approve"
PUBLISH_TASK = "publish"
CREATE_TASK = "create_cluster"
WAIT_TASK = "wait_for_training"


class RunPlan(BaseModel):
    """What ``plan`` resolved for its run; the XCom that all other tasks read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deployment: str
    data_date: date
    models: tuple[str, ...]
    publish: bool
    overrides: dict[str, Any] = {}
    code_sha256: str


def read_plan(context: Any) -> RunPlan:
    """The plan of the run that a task belongs to.

    :raises AirflowFailException: ``plan`` failed
    """
    value = context["ti"].xcom_pull(task_ids=PLAN_TASK, key=PLAN_TASK)
    if value is None:
        raise AirflowFailException("plan failed, so that there is nothing to do; its log says why")
    return RunPlan.model_validate(value)


def model_of(portfolio: Portfolio, model_name: str, plan: RunPlan) -> Model:
    """A model's settings in a run: the portfolio's, below the run's overrides."""
    return overridden(portfolio, models=[model_name], overrides=plan.overrides)[model_name]


def policy_of(portfolio: Portfolio, plan: RunPlan, answer: Answer | None = None) -> Policy:
    """What the run's models are held to before they serve."""
    models = overridden(portfolio, models=plan.models, overrides=plan.overrides)
    return Policy(
        gates={name: model.gate for name, model in models.items()},
        asks=portfolio.approval is not None,
        answer=answer,
        fresh_within={name: age(model.fresh_within) for name, model in models.items() if model.fresh_within},
    )


def training_of(portfolio: Portfolio, model_name: str, plan: RunPlan, dag_run: Any) -> Training:
    """The identity of a model's training in a run."""
    return Training(
        deployment=plan.deployment,
        portfolio=portfolio.name,
        model=model_name,
        data_date=plan.data_date,
        dag_id=dag_run.dag_id,
        run_id=dag_run.run_id,
        output_root=portfolio.output_root,
    )
