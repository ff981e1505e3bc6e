"""``plan``: what its run is to do."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from airflow.providers.standard.operators.branch import BaseBranchOperator
from airflow.sdk.exceptions import AirflowFailException

from trainyard import connections, databases, job_code
from trainyard.account import Account, AccountError
from trainyard.cluster_size import never_fits
from trainyard.connections import AirflowClients
from trainyard.instances import UnknownInstanceTypeError
from trainyard.job_flow import job_flow_request
from trainyard.launch_check import request_mistakes
from trainyard.operators.run_plan import CREATE_TASK, PLAN_TASK, RunPlan
from trainyard.planning import RunRequest, RunRequestError, resolve_run
from trainyard.portfolio import Portfolio, overridden
from trainyard.training import Sha256, Training

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
        except (RunRequestError, AccountError) as error:
            raise AirflowFailException(str(error)) from error
        clients = AirflowClients(self.portfolio.connections)
        try:
            databases.upgrade_app_db(clients.app)
            databases.upgrade_analytics_db(clients.analytics)
            source = job_code.read_job_source()
        except (databases.DatabaseError, job_code.JobCodeMissingError) as error:
            raise AirflowFailException(str(error)) from error
        self._check_sizes(account, request, clients)
        self._check_requests(account.deployment, request, source.sha256, dag_run)
        job_code.stage_job_source(clients.s3, source, output_root=self.portfolio.output_root)
        plan = RunPlan(
            deployment=account.deployment,
            data_date=request.data_date,
            models=request.models,
            publish=request.publish,
            overrides=dict(request.overrides),
            code_sha256=source.sha256,
        )
        context["ti"].xcom_push(key=PLAN_TASK, value=plan.model_dump(mode="json"))
        log.info("data date %s, models %s", plan.data_date, ", ".join(plan.models))
        if plan.overrides:
            log.info("overridden: %s; %s", json.dumps(plan.overrides), _PUBLISHED[plan.publish])
        return [f"{name}.{CREATE_TASK}" for name in plan.models]

    def _check_sizes(self, account: Account, request: RunRequest, clients: AirflowClients) -> None:
        """A cluster that never fits would wait for ever."""
        models = overridden(self.portfolio, models=request.models, overrides=request.overrides)
        try:
            prices = connections.prices(account, lambda: clients.s3)
            refused = {
                name: never_fits(model.cluster, limits=account.limits, prices=prices)
                for name, model in models.items()
            }
        except (AccountError, UnknownInstanceTypeError) as error:
            raise AirflowFailException(str(error)) from error
        told = [f"model {name}: {sentence}" for name, sentence in refused.items() if sentence]
        if told:
            raise AirflowFailException("Models could never be trained. " + "\n".join(told))

    def _check_requests(self, deployment: str, request: RunRequest, code: Sha256, dag_run: Any) -> None:
        """Every model's cluster is checked before the first is paid for."""
        models = overridden(self.portfolio, models=request.models, overrides=request.overrides)
        mistakes = [
            f"model {name}: {sentence}"
            for name, model in models.items()
            for sentence in request_mistakes(
                job_flow_request(
                    training=Training(
                        deployment=deployment,
                        portfolio=self.portfolio.name,
                        model=name,
                        data_date=request.data_date,
                        dag_id=dag_run.dag_id,
                        run_id=dag_run.run_id,
                        output_root=self.portfolio.output_root,
                    ),
                    attempt=1,
                    cluster=model.cluster,
                    code=job_code.staged_code(self.portfolio.output_root, code),
                )
            )
        ]
        if mistakes:
            raise AirflowFailException("EMR would refuse to launch clusters. " + "\n".join(mistakes))
