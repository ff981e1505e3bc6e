"""What ``create_cluster`` and ``wait_for_training`` share: both launch the cluster of a training, or adopt it."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from trainyard import clusters, connections
from trainyard.cluster_size import most_vcpus
from trainyard.connections import AirflowClients
from trainyard.inputs import InputEmptyError, InputMissingError
from trainyard.instances import Prices
from trainyard.job_code import staged_code
from trainyard.launching import AttemptFailedError, Order, Terms, give_up_at, launch_or_resume
from trainyard.ledger import Attempt, ClusterId
from trainyard.operators.run_plan import model_of, read_plan, training_of
from trainyard.portfolio import Model, Portfolio
from trainyard.request import Lineage
from trainyard.training import Sha256
from trainyard.watcher import AdmissionTrigger, InputTrigger, PauseTrigger, TrainingTrigger

NOT_LAUNCHED = "not_launched"
# apart from each other, so that those that were throttled together do not all come back at once
_COME_BACK_SECONDS = (60, 300)

log = logging.getLogger(__name__)


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
        terms=_terms(portfolio, model),
        tries_before=tries_before(context),
    )


def tries_before(context: Any) -> int:
    """Airflow's tries of the task before this one, since a person last cleared it: a clear adds to ``max_tries``."""
    task_instance = context["ti"]
    retries = task_instance.task.retries or 0
    return max(0, int(task_instance.try_number - 1 - (task_instance.max_tries - retries)))


def _terms(portfolio: Portfolio, model: Model) -> Terms:
    """The account's limits as they are now: a cap that is raised holds for what waits already."""
    account = connections.account()

    # read where it is needed: a task that only waits must not fail by a file that it has no use for
    @cache
    def prices() -> Prices:
        return connections.prices(account, lambda: connections.s3_client(portfolio.connections.aws))

    return Terms(
        limits=account.limits,
        pace=account.pace,
        vcpus=None if account.max_vcpus is None else most_vcpus(model.cluster, prices()),
        priority=model.priority,
        prices=prices,
    )


def launch_or_defer(
    operator: BaseOperator, *, clients: AirflowClients, order: Order, context: Any
) -> Attempt:
    """Launch the cluster of a training, or adopt the one that an earlier try launched.

    Defers the task where it must wait for late input, for a slot, or out a long throttling; it is resumed in the
    operator's ``resume``.
    """
    with told_to_airflow(context):
        try:
            attempt = launch_or_resume(clients, order)
        except InputEmptyError:
            raise
        except InputMissingError as error:
            _wait_for_input(
                operator, order=order, aws_conn_id=clients.connections.aws, context=context, error=error
            )
            raise
        except clusters.LaunchThrottledError as error:
            _come_back_later(operator, error)
            raise
    if attempt.state == "queued":
        log.info("attempt %d waits for a slot of the account", attempt.attempt)
        operator.defer(
            trigger=AdmissionTrigger(
                training_id=attempt.training_id,
                attempt=attempt.attempt,
                aws_conn_id=order.aws_conn_id,
                region_name=None,
                app_db=clients.connections.app_db,
            ),
            method_name="resume",
        )
    return attempt


def training_trigger(portfolio: Portfolio, order: Order, attempt: Attempt) -> TrainingTrigger:
    """Waits for the end of an attempt's cluster."""
    return TrainingTrigger(
        training_id=attempt.training_id,
        attempt=attempt.attempt,
        cluster_id=ClusterId(str(attempt.cluster_id)),
        launched_at=(attempt.launched_at or attempt.intended_at).isoformat(),
        aws_conn_id=order.aws_conn_id,
        region_name=None,
        app_db=portfolio.connections.app_db,
        give_up_at=give_up_at(order, attempt).isoformat(),
    )


def check_waited_input(event: Any, order: Order, context: Any) -> None:
    """Fail the task for good where it has waited for its input in vain.

    :param event: what the task is resumed with
    """
    if isinstance(event, dict) and event.get("there") is False:
        with told_to_airflow(context):
            waited = f"after {order.model.inputs.wait_minutes} minutes"
            places = ", ".join(str(uri) for uri, _ in _places(order))
            refused = "".join(f"; {words}" for words in event.get("refused", ()))
            raise InputMissingError(f"{waited}, not all of {places} are there{refused}")


def _come_back_later(operator: BaseOperator, error: clusters.LaunchThrottledError) -> None:
    """Defer the task for some minutes: throttling delays a training, and never fails it or spends a try."""
    log.warning("%s; the launch is tried again in some minutes", error)
    seconds = random.uniform(*_COME_BACK_SECONDS)  # noqa: S311
    moment = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    operator.defer(trigger=PauseTrigger(moment), method_name="resume")


def _wait_for_input(
    operator: BaseOperator, *, order: Order, aws_conn_id: str, context: Any, error: InputMissingError
) -> None:
    """Defer the task until the input is there; returns where it is not worth waiting any more."""
    # of the run and not of this try, so that a retry does not wait anew
    begun = getattr(context["dag_run"], "start_date", None) or datetime.now(timezone.utc)
    give_up_at = begun + timedelta(minutes=order.model.inputs.wait_minutes)
    if datetime.now(timezone.utc) >= give_up_at:
        return
    log.info("%s; waiting for it until %s", error, give_up_at.isoformat(timespec="seconds"))
    operator.defer(
        trigger=InputTrigger(
            places=_places(order), aws_conn_id=aws_conn_id, give_up_at=give_up_at.isoformat()
        ),
        method_name="resume",
    )


def _places(order: Order) -> list[list[str | None]]:
    inputs = order.model.inputs.resolve(model=order.model.name, data_date=order.training.data_date)
    places = (inputs.train, inputs.validation, inputs.test)
    return [[place, inputs.marker] for place in places if place is not None]


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
