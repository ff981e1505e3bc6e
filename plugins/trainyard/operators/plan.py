"""``plan``: what its run is to do."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from airflow.providers.standard.operators.branch import BaseBranchOperator
from airflow.sdk.exceptions import AirflowFailException

from trainyard import connections, databases, job_code
from trainyard.connections import AirflowClients
from trainyard.operators.run_plan import CREATE_TASK, PLAN_TASK, RunPlan
from trainyard.planning import RunRequestError, resolve_run
from trainyard.portfolio import Portfolio

log = logging.getLogger(__name__)

_PUBLISHED = {
    True: "what it trains is published, as the run asks for explicitly",
    False: "what it trains is measured and not published",
}


class Plan(BaseBranchOperator):
    """Resolves the run once and chooses its models; a mistake that concerns the whole run fails here.

    Also brings both databases' schemas up to date and stages the job's code.

    :param portfolio: the portfolio whose DAG this is
    """

    def __init__(self, *, portfolio: Portfolio, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.portfolio = portfolio

    def choose_branch(self, context: Any) -> Sequence[str]:
        dag_run = context["dag_run"]
        try:
            account = connections.account()
            request = resolve_run(
                portfolio=self.portfolio,
                parameters=context["params"],
                conf=dag_run.conf or {},
                logical_date=dag_run.logical_date,
                run_after=dag_run.run_after,
            )
        except (RunRequestError, connections.AccountError) as error:
            raise AirflowFailException(str(error)) from error
        clients = AirflowClients(self.portfolio.connections)
        try:
            databases.upgrade_app_db(clients.app)
            databases.upgrade_analytics_db(clients.analytics)
            source = job_code.read_job_source()
        except (databases.DatabaseError, job_code.JobCodeMissingError) as error:
            raise AirflowFailException(str(error)) from error
        code = job_code.stage_job_source(clients.s3, source, output_root=self.portfolio.output_root)
        plan = RunPlan(
            deployment=account.deployment,
            data_date=request.data_date,
            models=request.models,
            publish=request.publish,
            overrides=dict(request.overrides),
            code_sha256=source.sha256,
            script=code.script,
            py_files=code.py_files,
        )
        context["ti"].xcom_push(key=PLAN_TASK, value=plan.model_dump(mode="json"))
        log.info("data date %s, models %s", plan.data_date, ", ".join(plan.models))
        if plan.overrides:
            log.info("overridden: %s; %s", json.dumps(plan.overrides), _PUBLISHED[plan.publish])
        return [f"{name}.{CREATE_TASK}" for name in plan.models]
