"""``wait_for_training``: a model's training is waited for, and judged where it failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar

from airflow.providers.amazon.aws.sensors.emr import EmrStepSensor
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.triggers.base import StartTriggerArgs
from sqlalchemy import Engine

from trainyard import clusters, connections, ledger
from trainyard.clusters import Failure
from trainyard.connections import AirflowClients
from trainyard.driver_log import Logs, find_logs
from trainyard.judging import judge
from trainyard.launching import Order, end_attempt, replace_awaited, used_up
from trainyard.ledger import Attempt, ClusterId
from trainyard.operators.failure import failure_text
from trainyard.operators.launch import (
    check_waited_input,
    clients_of,
    cluster_connection,
    launch_or_defer,
    order_of,
    told_to_airflow,
    training_trigger,
    tries_before,
)
from trainyard.operators.links import leave_links
from trainyard.operators.run_plan import model_of, read_plan
from trainyard.portfolio import Portfolio
from trainyard.watcher import ON_A_WORKER, LaunchedTrigger, LogTrigger

_LOG_WAIT = timedelta(minutes=3)


class WaitForTraining(EmrStepSensor):
    """Waits, deferred, until the training's cluster has ended; a new try gives the training a fresh cluster.

    A failure that a fresh cluster cannot mend, such as bad data, is not retried.

    :param model_name: the portfolio's model that is trained
    :param launched_by: id of the task that hands over what it launched: the wait then begins in the triggerer and takes
        no worker, unless it fails; none: it begins on a worker
    """

    # a worker makes a request to keep what they are rendered to, and the stock fields say nothing here
    template_fields: Sequence[str] = ()
    template_ext: Sequence[str] = ()
    template_fields_renderers: ClassVar[dict[str, str]] = {}
    # the plugin's stand in their place
    operator_extra_links = ()

    def __init__(
        self, *, portfolio: Portfolio, model_name: str, launched_by: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(
            aws_conn_id=cluster_connection(portfolio, portfolio.models[model_name]),
            # the ledger knows the cluster and its step
            job_flow_id="",
            step_id="",
            deferrable=True,
            **kwargs,
        )
        self.portfolio = portfolio
        self.model_name = model_name
        if launched_by is not None:
            self.start_from_trigger = True
            self.start_trigger_args = self._begin(launched_by)

    def _begin(self, launched_by: str) -> StartTriggerArgs:
        trigger = LaunchedTrigger(
            launched_by=launched_by,
            aws_conn_id=cluster_connection(self.portfolio, self.portfolio.models[self.model_name]),
            region_name=self.region_name,
            app_db=self.portfolio.connections.app_db,
        )
        path, arguments = trigger.serialize()
        return StartTriggerArgs(trigger_cls=path, trigger_kwargs=arguments, next_method="go_on")

    def execute(self, context: Any) -> None:
        order = order_of(self.portfolio, self.model_name, context)
        clients = clients_of(self.portfolio, order)
        attempt = self._attempt_to_await(clients, order, context)
        attempts = ledger.attempts(clients.app, attempt.training_id)
        leave_links(context, attempts, clients=clients, log_uri=order.model.cluster.log_uri)
        if attempt.outcome == "succeeded":
            return
        ledger.record_wait(clients.app, training_id=attempt.training_id, attempt=attempt.attempt)
        self.defer(trigger=training_trigger(self.portfolio, order, attempt), method_name="execute_complete")

    def go_on(self, context: Any, event: Any = None) -> None:
        """Go on after a wait that began in the triggerer: judge what was waited for, or begin anew on this worker."""
        if event == ON_A_WORKER or self._was_abandoned(event):
            self.execute(context)
        else:
            self.execute_complete(context, event)

    def _was_abandoned(self, event: Any) -> bool:
        """Whether what was handed over had been ended by a person or the reaper, before anything waited for it."""
        if not isinstance(event, dict):
            return False
        app = AirflowClients(self.portfolio.connections).app
        attempt = ledger.attempts(app, event["training_id"])[event["attempt"] - 1]
        return bool(attempt.outcome == "abandoned")

    def resume(self, context: Any, event: Any = None) -> None:
        """Go on after the input of a further attempt came, a slot was given, or a throttling was waited out."""
        check_waited_input(event, order_of(self.portfolio, self.model_name, context), context)
        self.execute(context)

    def execute_complete(self, context: Any, event: Any = None) -> None:
        """Judge the attempt that was waited for.

        :param event: the trigger's payload, or "success" where ``airflow dags test`` resumes a success
        """
        if event == "success":
            return
        app = AirflowClients(self.portfolio.connections).app
        attempts = ledger.attempts(app, event["training_id"])
        attempt = attempts[event["attempt"] - 1]
        clients = AirflowClients(self.portfolio.connections, attempt.aws_conn_id)
        log_uri = model_of(self.portfolio, self.model_name, read_plan(context)).cluster.log_uri
        leave_links(context, attempts, clients=clients, log_uri=log_uri)
        logs = self._logs(attempt, log_uri)
        verdict = judge(attempt, attempts=attempts, emr=clients.emr, s3=clients.s3, log=logs.text)
        failure = verdict.failure
        if verdict.live:
            failure = Failure("overdue", f"cluster {attempt.cluster_id} did not end in time", retry=True)
            clusters.terminate(clients.emr, ClusterId(str(attempt.cluster_id)))
        elif verdict.log_may_tell and not logs.whole and not event.get("log_waited"):
            self._defer_for_log(attempt, log_uri)
        end_attempt(clients.app, attempt, failure)
        if failure is not None:
            told = failure_text(failure, verdict.emr_words, logs=logs, log_uri=log_uri, attempt=attempt)
            retried = self._retried(failure, app, attempt, context)
            raise AirflowException(told) if retried else AirflowFailException(told)

    def _retried(self, failure: Failure, app: Engine, attempt: Attempt, context: Any) -> bool:
        """Whether the training gets a further attempt; Airflow's own tries are more, for outages."""
        attempts = ledger.attempts(app, attempt.training_id)
        retries = self.portfolio.models[self.model_name].retries
        return failure.retry and not used_up(attempts, retries=retries, tries=tries_before(context) + 1)

    def _logs(self, attempt: Attempt, log_uri: str) -> Logs:
        """Best effort: the failure itself must be told whatever becomes of its log."""
        try:
            s3 = connections.s3_client(attempt.aws_conn_id)
            return find_logs(s3, log_uri=log_uri, cluster_id=str(attempt.cluster_id))
        except Exception:
            self.log.warning("the cluster's logs could not be read", exc_info=True)
            return Logs()

    def _defer_for_log(self, attempt: Attempt, log_uri: str) -> None:
        """EMR brings logs to S3 minutes late: wait for it without a worker, and not for long."""
        payload = {"training_id": attempt.training_id, "attempt": attempt.attempt, "log_waited": True}
        give_up_at = datetime.now(timezone.utc) + _LOG_WAIT
        self.defer(
            trigger=LogTrigger(
                payload=payload,
                log_uri=log_uri,
                cluster_id=str(attempt.cluster_id),
                aws_conn_id=attempt.aws_conn_id,
                give_up_at=give_up_at.isoformat(),
            ),
            method_name="execute_complete",
        )

    def _attempt_to_await(self, clients: AirflowClients, order: Order, context: Any) -> Attempt:
        """The attempt that ``create_cluster`` left, unless an earlier try has waited for it: then a fresh one."""
        attempts = ledger.attempts(clients.app, order.training.training_id)
        if attempts and attempts[-1].state == "launched":
            if attempts[-1].awaited_at is None or context["ti"].try_number == 1:
                # where this is the first try, it was itself that waited, in the triggerer
                return attempts[-1]
            with told_to_airflow(context):
                replace_awaited(clients, order, attempts)
        return launch_or_defer(self, clients=clients, order=order, context=context)
