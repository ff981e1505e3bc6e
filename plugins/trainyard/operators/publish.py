"""``publish``: what the run's trainings left is published in one switch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from airflow.sdk import BaseOperator
from sqlalchemy import Engine

from trainyard import ledger
from trainyard.connections import AirflowClients
from trainyard.operators import assets
from trainyard.operators.approve import read_answer
from trainyard.operators.launch import NOT_LAUNCHED
from trainyard.operators.run_plan import CREATE_TASK, RunPlan, policy_of, read_plan, training_of
from trainyard.portfolio import Portfolio
from trainyard.publishing import NotLaunched, RunReport, live_models, publish_run
from trainyard.publishing.staleness import stale_models
from trainyard.training import Training

log = logging.getLogger(__name__)

_LEFT_OUT = NotLaunched("left_out", "The run was asked for other models of the portfolio only.", skipped=True)


class Publish(BaseOperator):
    """Publishes what the run's trainings left, all in one switch; succeeds once what is good is published.

    :param portfolio: the portfolio whose DAG this is
    """

    def __init__(self, *, portfolio: Portfolio, **kwargs: Any) -> None:
        super().__init__(outlets=[assets.portfolio_alias(portfolio.name)], **kwargs)
        self.portfolio = portfolio

    def execute(self, context: Any) -> dict[str, Any]:
        plan = read_plan(context)
        clients = AirflowClients(self.portfolio.connections)
        dag_run = context["dag_run"]
        trainings = [training_of(self.portfolio, name, plan, dag_run) for name in plan.models]
        left_out = sorted({*self.portfolio.models} - {*plan.models})
        report = publish_run(
            app=clients.app,
            analytics=clients.analytics,
            s3=clients.s3,
            trainings=[
                *trainings,
                *(training_of(self.portfolio, name, plan, dag_run) for name in left_out),
            ],
            dag_id=dag_run.dag_id,
            run_id=dag_run.run_id,
            data_date=plan.data_date,
            portfolio=self.portfolio.name,
            activate=plan.publish,
            policy=policy_of(self.portfolio, plan, read_answer(context)),
            not_launched=_not_launched(context, clients.app, trainings) | dict.fromkeys(left_out, _LEFT_OUT),
        )
        assets.tell_activated(context, portfolio=self.portfolio.name, report=report)
        return _told(report, plan) | {"stale": _stale(clients, self.portfolio, plan)}


def _not_launched(context: Any, app: Engine, trainings: Sequence[Training]) -> dict[str, NotLaunched]:
    """Why models have no attempt, as their ``create_cluster`` said; the others are not asked, a request each."""
    attempts = ledger.attempts_by_training(app, [training.training_id for training in trainings])
    models = [training.model for training in trainings if not attempts[training.training_id]]
    said = {
        name: context["ti"].xcom_pull(task_ids=f"{name}.{CREATE_TASK}", key=NOT_LAUNCHED) for name in models
    }
    return {name: NotLaunched(**value) for name, value in said.items() if value}


def _stale(clients: AirflowClients, portfolio: Portfolio, plan: RunPlan) -> dict[str, str]:
    """What serves although it is too old, by model; a run that publishes nothing is not held to it."""
    if not plan.publish:
        return {}
    live = {row.model: row.data_date for row in live_models(clients.app) if row.portfolio == portfolio.name}
    now = datetime.now(timezone.utc)
    return stale_models(portfolio, models=plan.models, data_date=plan.data_date, live=live, now=now)


def _told(report: RunReport, plan: RunPlan) -> dict[str, Any]:
    """Of the chosen models: the run's colour is theirs."""
    outcomes = [outcome for outcome in report.outcomes if outcome.model in plan.models]
    for outcome in outcomes:
        log.info("%s: %s, %s", outcome.model, outcome.status, outcome.sentence)
    return {
        "data_date": plan.data_date.isoformat(),
        "published_at": datetime.now(timezone.utc).isoformat(),
        "outcomes": [
            {
                "model": outcome.model,
                "status": outcome.status,
                "version_id": outcome.version_id,
                "failure_code": outcome.failure_code,
                "decision_code": outcome.decision_code,
                "sentence": outcome.sentence,
            }
            for outcome in outcomes
        ],
    }
