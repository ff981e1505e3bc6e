"""``create_cluster``: a model's training gets its cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from airflow.providers.amazon.aws.operators.emr import EmrCreateJobFlowOperator

from trainyard import ledger
from trainyard.operators.launch import (
    check_waited_input,
    clients_of,
    cluster_connection,
    launch_or_defer,
    order_of,
    training_trigger,
)
from trainyard.operators.links import links_to
from trainyard.portfolio import Portfolio
from trainyard.watcher import WAIT

CLUSTER_ID = "cluster_id"


class CreateTrainingCluster(EmrCreateJobFlowOperator):
    """Launches the cluster of a model's training, or adopts the one that an earlier try launched.

    Returns the cluster's id, what ``wait_for_training`` waits for, and the links to the training's attempts: one XCom,
    since each is a request. The stock operator's ``execute`` is not called: it describes the cluster right after
    launching it and fails, cluster running, where that call is throttled.

    :param model_name: the portfolio's model to train
    :param hands_over: whether the wait begins in the triggerer, which has only what is left for it here
    """

    # a worker makes a request to keep what they are rendered to, and the stock fields say nothing here
    template_fields: Sequence[str] = ()
    template_ext: Sequence[str] = ()
    template_fields_renderers: ClassVar[dict[str, str]] = {}
    # the plugin's stand in their place
    operator_extra_links = ()

    def __init__(
        self, *, portfolio: Portfolio, model_name: str, hands_over: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(
            emr_conn_id=None,
            aws_conn_id=cluster_connection(portfolio, portfolio.models[model_name]),
            **kwargs,
        )
        self.portfolio = portfolio
        self.model_name = model_name
        self.hands_over = hands_over

    def execute(self, context: Any) -> dict[str, Any]:
        order = order_of(self.portfolio, self.model_name, context)
        clients = clients_of(self.portfolio, order)
        attempt = launch_or_defer(self, clients=clients, order=order, context=context)
        attempts = [attempt] if attempt.attempt == 1 else ledger.attempts(clients.app, attempt.training_id)
        returned = {
            CLUSTER_ID: attempt.cluster_id,
            **links_to(attempts, clients=clients, log_uri=order.model.cluster.log_uri),
        }
        if self.hands_over and attempt.state == "launched":
            returned[WAIT] = training_trigger(self.portfolio, order, attempt).serialize()[1]
        return returned

    def resume(self, context: Any, event: Any = None) -> dict[str, Any]:
        """Go on after the input came, a slot was given, or a throttling was waited out."""
        check_waited_input(event, order_of(self.portfolio, self.model_name, context), context)
        return self.execute(context)

    def on_kill(self) -> None:
        """Leave the cluster: the next try of this task, or of the wait, finds it in the ledger."""
