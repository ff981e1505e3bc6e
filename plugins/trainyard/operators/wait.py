"""``wait_for_training``: a model's training is waited for, and judged where it failed."""

from __future__ import annotations

from typing import Any

from airflow.providers.amazon.aws.sensors.emr import EmrStepSensor
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from trainyard import clusters, ledger
from trainyard.clusters import Failure
from trainyard.connections import AirflowClients
from trainyard.judging import judge
from trainyard.launching import Order, end_attempt, give_up_at, replace_awaited
from trainyard.ledger import Attempt, ClusterId
from trainyard.operators.launch import (
    check_waited_input,
    clients_of,
    cluster_connection,
    launch_or_defer,
    order_of,
    told_to_airflow,
)
from trainyard.operators.links import link_cluster
from trainyard.operators.run_plan import CREATE_TASK
from trainyard.portfolio import Portfolio
from trainyard.watcher import TrainingTrigger


class WaitForTraining(EmrStepSensor):
    """Waits, deferred, until the training's cluster has ended; a new try gives the training a fresh cluster.

    A failure that a fresh cluster cannot mend, such as bad data, is not retried.

    :param model_name: the portfolio's model that is trained
    """

    def __init__(self, *, portfolio: Portfolio, model_name: str, **kwargs: Any) -> None:
        created = f"{{{{ ti.xcom_pull(task_ids='{model_name}.{CREATE_TASK}') }}}}"
        super().__init__(
            aws_conn_id=cluster_connection(portfolio, portfolio.models[model_name]),
            job_flow_id=created,
            step_id="",
            deferrable=True,
            **kwargs,
        )
        self.portfolio = portfolio
        self.model_name = model_name

    def execute(self, context: Any) -> None:
        order = order_of(self.portfolio, self.model_name, context)
        clients = clients_of(self.portfolio, order)
        attempt = self._attempt_to_await(clients, order, context)
        if attempt.outcome == "succeeded":
            return
        link_cluster(self, context, attempt, portfolio=self.portfolio, model_name=self.model_name)
        ledger.record_wait(clients.app, training_id=attempt.training_id, attempt=attempt.attempt)
        self.defer(
            trigger=TrainingTrigger(
                training_id=attempt.training_id,
                attempt=attempt.attempt,
                cluster_id=ClusterId(str(attempt.cluster_id)),
                launched_at=(attempt.launched_at or attempt.intended_at).isoformat(),
                aws_conn_id=order.aws_conn_id,
                region_name=self.region_name,
                app_db=self.portfolio.connections.app_db,
                give_up_at=give_up_at(order, attempt).isoformat(),
            ),
            method_name="execute_complete",
        )

    def resume(self, context: Any, event: Any = None) -> None:
        """Go on after the input of a further attempt came, or a slot for it was given."""
        check_waited_input(event, order_of(self.portfolio, self.model_name, context), context)
        self.execute(context)

    def execute_complete(self, context: Any, event: Any = None) -> None:  # noqa: ARG002
        """Judge the attempt that was waited for.

        :param event: the trigger's payload, or "success" where ``airflow dags test`` resumes a success
        """
        if event == "success":
            return
        app = AirflowClients(self.portfolio.connections).app
        attempt = ledger.attempts(app, event["training_id"])[event["attempt"] - 1]
        clients = AirflowClients(self.portfolio.connections, attempt.aws_conn_id)
        verdict = judge(attempt, emr=clients.emr, s3=clients.s3)
        failure = verdict.failure
        if verdict.live:
            failure = Failure("overdue", f"cluster {attempt.cluster_id} did not end in time", retry=True)
            clusters.terminate(clients.emr, ClusterId(str(attempt.cluster_id)))
        end_attempt(clients.app, attempt, failure)
        if failure is not None:
            text = f"{failure.code}: {failure.sentence}"
            raise AirflowException(text) if failure.retry else AirflowFailException(text)

    def _attempt_to_await(self, clients: AirflowClients, order: Order, context: Any) -> Attempt:
        """The attempt that ``create_cluster`` left, unless an earlier try has waited for it: then a fresh one."""
        attempts = ledger.attempts(clients.app, order.training.training_id)
        if attempts and attempts[-1].state == "launched":
            if attempts[-1].awaited_at is None:
                return attempts[-1]
            with told_to_airflow(context):
                replace_awaited(clients, attempts[-1])
        return launch_or_defer(self, clients=clients, order=order, context=context)
