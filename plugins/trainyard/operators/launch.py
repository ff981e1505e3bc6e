"""What ``create_cluster`` and ``wait_for_training`` share: both launch the cluster of a training, or adopt it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from trainyard import clusters
from trainyard.connections import AirflowClients
from trainyard.inputs import InputMissingError
from trainyard.job_code import staged_code
from trainyard.launching import AttemptFailedError, Clients, Order, launch_or_resume
from trainyard.ledger import Attempt
from trainyard.operators.run_plan import model_of, read_plan, training_of
from trainyard.portfolio import Model, Portfolio
from trainyard.request import Lineage
from trainyard.training import Sha256

NOT_LAUNCHED = "not_launched"


def clients_of(portfolio: Portfolio, order: Order) -> AirflowClients:
    """The clients of a training; its cluster may be another account's."""
    return AirflowClients(portfolio.connections, order.aws_conn_id)


def cluster_connection(portfolio: Portfolio, model: Model) -> str:
    """Id of the Airflow connection to the account that runs a model's clusters."""
    return model.cluster.connection or portfolio.connections.aws


def order_of(portfolio: Portfolio, model_name: str, context: Any) -> Order:
    """What to train, with what code, as the run's plan has it."""
    plan = read_plan(context)
    model = model_of(portfolio, model_name, plan)
    return Order(
        training=training_of(portfolio, model_name, plan, context["dag_run"]),
        model=model,
        code=staged_code(portfolio.output_root, Sha256(plan.code_sha256)),
        lineage=Lineage(
            code_sha256=Sha256(plan.code_sha256),
            portfolio_sha256=Sha256(portfolio.sha256),
            overrides=plan.overrides,
        ),
        aws_conn_id=cluster_connection(portfolio, model),
    )


def launch(clients: Clients, order: Order, context: Any) -> Attempt:
    """Launch the cluster of a training, or adopt the one that an earlier try launched."""
    with told_to_airflow(context):
        return launch_or_resume(clients, order)


@contextmanager
def told_to_airflow(context: Any) -> Iterator[None]:
    """What a further try would not mend fails the task for good; ``publish`` reads why there is no attempt."""
    try:
        yield
    except InputMissingError as error:
        context["ti"].xcom_push(key=NOT_LAUNCHED, value={"code": "input_missing", "sentence": str(error)})
        raise AirflowFailException(f"input_missing: {error}") from error
    except (clusters.LaunchRefusedError, AttemptFailedError) as error:
        raise AirflowFailException(str(error)) from error
