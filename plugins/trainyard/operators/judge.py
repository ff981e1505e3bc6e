"""``judge``: what a run would put live is held against the gates, and a person is asked where anything would."""

from __future__ import annotations

import logging
from typing import Any

from airflow.providers.standard.operators.branch import BaseBranchOperator

from trainyard.connections import AirflowClients
from trainyard.operators.run_plan import (
    APPROVE_TASK,
    PUBLISH_TASK,
    policy_of,
    read_plan,
    training_of,
)
from trainyard.portfolio import Portfolio
from trainyard.publishing import markdown_table, review_run

TABLE = "table"
ASKED = "asked"

log = logging.getLogger(__name__)


class Judge(BaseBranchOperator):
    """Chooses ``approve`` where a model would go live, else ``publish`` at once; publishes nothing itself.

    :param portfolio: the portfolio whose DAG this is
    """

    def __init__(self, *, portfolio: Portfolio, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.portfolio = portfolio

    def choose_branch(self, context: Any) -> str:
        plan = read_plan(context)
        if not plan.publish:
            return PUBLISH_TASK
        clients = AirflowClients(self.portfolio.connections)
        reviewed = review_run(
            clients.app,
            clients.s3,
            trainings=[training_of(self.portfolio, name, plan, context["dag_run"]) for name in plan.models],
            policy=policy_of(self.portfolio, plan),
        )
        for each in reviewed:
            log.info("%s: %s, %s", each.model, each.decision.outcome, each.decision.sentence)
        asked = {each.training.training_id: each.attempt for each in reviewed if each.waits}
        if not asked:
            return PUBLISH_TASK
        # what the answer will be about: whatever comes to pass its gate later was not seen by whoever answers
        context["ti"].xcom_push(key=ASKED, value=asked)
        context["ti"].xcom_push(key=TABLE, value=markdown_table(reviewed))
        return APPROVE_TASK
