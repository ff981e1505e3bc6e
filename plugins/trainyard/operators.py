"""The five kinds of task in a portfolio's DAG: plan, create_cluster, wait_for_training, publish, freshness.

Each reads its settings from the DAG file it is built from and the run's plan from ``plan``'s XCom.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timezone
from typing import Any

from airflow.providers.amazon.aws.links.emr import EmrClusterLink, EmrLogsLink
from airflow.providers.amazon.aws.operators.emr import EmrCreateJobFlowOperator
from airflow.providers.amazon.aws.sensors.emr import EmrStepSensor
from airflow.providers.standard.operators.branch import BaseBranchOperator
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from pydantic import BaseModel, ConfigDict

from trainyard import clusters, connections, databases, job_code, ledger
from trainyard.clusters import Failure
from trainyard.connections import AirflowClients
from trainyard.inputs import InputMissingError
from trainyard.job_flow import JobCode
from trainyard.judging import judge
from trainyard.launching import (
    AttemptFailedError,
    Clients,
    Order,
    end_attempt,
    give_up_at,
    launch_or_resume,
    replace_awaited,
)
from trainyard.ledger import Attempt, ClusterId
from trainyard.planning import RunRequestError, resolve_run
from trainyard.portfolio import Portfolio
from trainyard.publishing import NotLaunched, RunReport, publish_run
from trainyard.request import Lineage
from trainyard.training import S3Uri, Sha256, Training, split_uri
from trainyard.watcher import TrainingTrigger

PLAN_TASK = "plan"
PUBLISH_TASK = "publish"
CREATE_TASK = "create_cluster"
WAIT_TASK = "wait_for_training"
NOT_LAUNCHED = "not_launched"

log = logging.getLogger(__name__)


class RunPlan(BaseModel):
    """What ``plan`` resolved for its run; the XCom that all other tasks read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deployment: str
    data_date: date
    models: tuple[str, ...]
    publish: bool
    code_sha256: str
    script: str
    py_files: str


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
            code_sha256=source.sha256,
            script=code.script,
            py_files=code.py_files,
        )
        context["ti"].xcom_push(key=PLAN_TASK, value=plan.model_dump(mode="json"))
        log.info("data date %s, models %s", plan.data_date, ", ".join(plan.models))
        return [f"{name}.{CREATE_TASK}" for name in plan.models]


class CreateTrainingCluster(EmrCreateJobFlowOperator):
    """Launches the cluster of a model's training, or adopts the one that an earlier try launched.

    Returns the cluster's id. The stock operator's ``execute`` is not called: it describes the cluster right after
    launching it and fails, cluster running, where that call is throttled.

    :param model_name: the portfolio's model to train
    """

    def __init__(self, *, portfolio: Portfolio, model_name: str, **kwargs: Any) -> None:
        super().__init__(emr_conn_id=None, aws_conn_id=portfolio.connections.aws, **kwargs)
        self.portfolio = portfolio
        self.model_name = model_name

    def execute(self, context: Any) -> str:
        clients = AirflowClients(self.portfolio.connections)
        order = _order(self.portfolio, self.model_name, context)
        attempt = _launch_or_resume(clients, order, context)
        _link(self, context, attempt)
        return str(attempt.cluster_id)

    def on_kill(self) -> None:
        """Leave the cluster: the next try of this task, or of the wait, finds it in the ledger."""


class WaitForTraining(EmrStepSensor):
    """Waits, deferred, until the training's cluster has ended; a new try gives the training a fresh cluster.

    A failure that a fresh cluster cannot mend, such as bad data, is not retried.

    :param model_name: the portfolio's model that is trained
    """

    def __init__(self, *, portfolio: Portfolio, model_name: str, **kwargs: Any) -> None:
        created = f"{{{{ ti.xcom_pull(task_ids='{model_name}.{CREATE_TASK}') }}}}"
        super().__init__(
            aws_conn_id=portfolio.connections.aws, job_flow_id=created, step_id="", deferrable=True, **kwargs
        )
        self.portfolio = portfolio
        self.model_name = model_name

    def execute(self, context: Any) -> None:
        clients = AirflowClients(self.portfolio.connections)
        order = _order(self.portfolio, self.model_name, context)
        attempt = self._attempt_to_await(clients, order, context)
        if attempt.outcome == "succeeded":
            return
        _link(self, context, attempt)
        ledger.record_wait(clients.app, training_id=attempt.training_id, attempt=attempt.attempt)
        self.defer(
            trigger=TrainingTrigger(
                training_id=attempt.training_id,
                attempt=attempt.attempt,
                cluster_id=ClusterId(str(attempt.cluster_id)),
                aws_conn_id=self.portfolio.connections.aws,
                region_name=self.region_name,
                app_db=self.portfolio.connections.app_db,
                give_up_at=give_up_at(order, attempt).isoformat(),
            ),
            method_name="execute_complete",
        )

    def execute_complete(self, context: Any, event: Any = None) -> None:  # noqa: ARG002
        """Judge the attempt that was waited for.

        :param event: the trigger's payload, or "success" where ``airflow dags test`` resumes a success
        """
        if event == "success":
            return
        clients = AirflowClients(self.portfolio.connections)
        attempts = ledger.attempts(clients.app, event["training_id"])
        attempt = attempts[event["attempt"] - 1]
        verdict = judge(attempt, emr=clients.emr, s3=clients.s3)
        failure = verdict.failure
        if verdict.live:
            failure = Failure("overdue", f"cluster {attempt.cluster_id} did not end in time", retry=True)
            clusters.terminate(clients.emr, ClusterId(str(attempt.cluster_id)))
        end_attempt(clients.app, attempt, failure)
        if failure is not None:
            text = f"{failure.code}: {failure.sentence}"
            raise AirflowException(text) if failure.retry else AirflowFailException(text)

    def _attempt_to_await(self, clients: Clients, order: Order, context: Any) -> Attempt:
        """The attempt that ``create_cluster`` left, unless an earlier try has waited for it: then a fresh one."""
        attempts = ledger.attempts(clients.app, order.training.training_id)
        if attempts and attempts[-1].state == "launched":
            if attempts[-1].awaited_at is None:
                return attempts[-1]
            with _told_to_airflow(context):
                replace_awaited(clients, attempts[-1])
        return _launch_or_resume(clients, order, context)


class Publish(BaseOperator):
    """Publishes what the run's trainings left, all in one switch; succeeds once what is good is published.

    :param portfolio: the portfolio whose DAG this is
    """

    def __init__(self, *, portfolio: Portfolio, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.portfolio = portfolio

    def execute(self, context: Any) -> dict[str, Any]:
        plan = _plan(context)
        clients = AirflowClients(self.portfolio.connections)
        dag_run = context["dag_run"]
        report = publish_run(
            app=clients.app,
            analytics=clients.analytics,
            s3=clients.s3,
            trainings=[_training(self.portfolio, name, plan, dag_run) for name in plan.models],
            dag_id=dag_run.dag_id,
            run_id=dag_run.run_id,
            data_date=plan.data_date,
            portfolio=self.portfolio.name,
            activate=plan.publish,
            not_launched=_not_launched(context, plan.models),
        )
        return _told(report, plan)


class Freshness(BaseOperator):
    """Colours the run: fails where fewer of its models are fresh in it than the portfolio demands.

    :param min_fresh: how many of the chosen models must be fresh; none: all
    """

    def __init__(self, *, min_fresh: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.min_fresh = min_fresh

    def execute(self, context: Any) -> None:
        report = context["ti"].xcom_pull(task_ids=PUBLISH_TASK)
        stale = {item["model"]: item["sentence"] for item in report["outcomes"] if item["status"] == "failed"}
        chosen = len(report["outcomes"])
        demanded = chosen if self.min_fresh is None else min(self.min_fresh, chosen)
        if chosen - len(stale) < demanded:
            reasons = "; ".join(f"{model}: {sentence}" for model, sentence in sorted(stale.items()))
            raise AirflowFailException(
                f"{chosen - len(stale)} of {chosen} models are fresh for {report['data_date']}, "
                f"{demanded} are demanded. {reasons}"
            )
        log.info("%d of %d models are fresh for %s", chosen - len(stale), chosen, report["data_date"])


def _plan(context: Any) -> RunPlan:
    value = context["ti"].xcom_pull(task_ids=PLAN_TASK, key=PLAN_TASK)
    if value is None:
        raise AirflowFailException("plan failed, so that there is nothing to do; its log says why")
    return RunPlan.model_validate(value)


def _training(portfolio: Portfolio, model_name: str, plan: RunPlan, dag_run: Any) -> Training:
    return Training(
        deployment=plan.deployment,
        portfolio=portfolio.name,
        model=model_name,
        data_date=plan.data_date,
        dag_id=dag_run.dag_id,
        run_id=dag_run.run_id,
        output_root=portfolio.output_root,
    )


def _order(portfolio: Portfolio, model_name: str, context: Any) -> Order:
    plan = _plan(context)
    return Order(
        training=_training(portfolio, model_name, plan, context["dag_run"]),
        model=portfolio.models[model_name],
        code=JobCode(script=S3Uri(plan.script), py_files=S3Uri(plan.py_files)),
        lineage=Lineage(code_sha256=Sha256(plan.code_sha256), portfolio_sha256=Sha256(portfolio.sha256)),
        aws_conn_id=portfolio.connections.aws,
    )


def _launch_or_resume(clients: Clients, order: Order, context: Any) -> Attempt:
    with _told_to_airflow(context):
        return launch_or_resume(clients, order)


@contextmanager
def _told_to_airflow(context: Any) -> Iterator[None]:
    """What a further try would not mend fails the task for good; ``publish`` reads why there is no attempt."""
    try:
        yield
    except InputMissingError as error:
        context["ti"].xcom_push(key=NOT_LAUNCHED, value={"code": "input_missing", "sentence": str(error)})
        raise AirflowFailException(f"input_missing: {error}") from error
    except (clusters.LaunchRefusedError, AttemptFailedError) as error:
        raise AirflowFailException(str(error)) from error


def _link(operator: CreateTrainingCluster | WaitForTraining, context: Any, attempt: Attempt) -> None:
    """Best effort: a link that cannot be made must not fail a task whose cluster runs."""
    try:
        region_name, aws_partition = connections.console_place(operator.portfolio.connections.aws)
        place = {
            "context": context,
            "operator": operator,
            "region_name": region_name,
            "aws_partition": aws_partition,
            "job_flow_id": attempt.cluster_id,
        }
        log_uri = operator.portfolio.models[operator.model_name].cluster.log_uri
        EmrClusterLink.persist(**place)
        EmrLogsLink.persist(**place, log_uri="/".join(split_uri(log_uri)))
    except Exception:
        log.warning("the links to cluster %s could not be made", attempt.cluster_id, exc_info=True)


def _not_launched(context: Any, models: Sequence[str]) -> dict[str, NotLaunched]:
    """Why models have no attempt, as their ``create_cluster`` said."""
    said = {
        name: context["ti"].xcom_pull(task_ids=f"{name}.{CREATE_TASK}", key=NOT_LAUNCHED) for name in models
    }
    return {name: NotLaunched(**value) for name, value in said.items() if value}


def _told(report: RunReport, plan: RunPlan) -> dict[str, Any]:
    for outcome in report.outcomes:
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
                "sentence": outcome.sentence,
            }
            for outcome in report.outcomes
        ],
    }
