"""A training → a running attempt: its request written, its cluster launched or adopted. Clients are handed in.

The order is what keeps one cluster per attempt: the intent is in the ledger before RunJobFlow is called and the
cluster's id at once after it; only an intent whose answer was lost makes us search for the cluster by its name.
"""

from __future__ import annotations

import hashlib
import logging
import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from sqlalchemy import Engine

from trainyard import clusters, ledger
from trainyard.clusters import ClusterStatus
from trainyard.inputs import list_input
from trainyard.job_flow import JobCode, job_flow_request
from trainyard.ledger import Attempt, ClusterId
from trainyard.portfolio import Model
from trainyard.request import Inputs, Lineage, training_request
from trainyard.training import Sha256, Training, split_uri

# An overdue cluster has had this long beyond the job's own deadline to provision and to end by itself.
GRACE = timedelta(minutes=30)
# Throttling delays a launch; beyond this the task fails and its next try goes on with the same attempt.
_THROTTLED_SECONDS = 900

log = logging.getLogger(__name__)


class Clients(Protocol):
    """Where a launch reaches: the ledger's database, EMR (with and without resending), S3."""

    @property
    def app(self) -> Engine: ...
    @property
    def emr(self) -> Any: ...
    @property
    def launching_emr(self) -> Any: ...
    @property
    def s3(self) -> Any: ...


@dataclass(frozen=True)
class Order:
    """What is to be trained, and how."""

    training: Training
    model: Model
    code: JobCode
    lineage: Lineage
    aws_conn_id: str


def launch_attempt(clients: Clients, order: Order) -> Attempt:
    """The training's live attempt: resumed if it has one, else a new one with a cluster of its own.

    :raises trainyard.inputs.InputMissingError: an input is not there; no attempt was taken
    :raises trainyard.clusters.LaunchRefusedError: EMR refused the request; the attempt has ended as failed
    """
    inputs = _list_inputs(clients.s3, order)
    attempt = ledger.allocate(clients.app, training=order.training, aws_conn_id=order.aws_conn_id)
    if attempt.cluster_id is None:
        found = _search(clients, attempt)
        if found is None:
            return _launch(clients, order, inputs, attempt)
        attempt = _record(clients, order, attempt, found.cluster_id)
    return _resume(clients, order, attempt)


def give_up_at(order: Order, attempt: Attempt) -> datetime:
    """When the attempt is overdue: its deadline and a grace later than its launch."""
    begun = attempt.launched_at or attempt.intended_at
    return begun + timedelta(minutes=order.model.cluster.deadline_minutes) + GRACE


def _resume(clients: Clients, order: Order, attempt: Attempt) -> Attempt:
    status = clusters.describe(clients.emr, ClusterId(str(attempt.cluster_id)))
    if not status.ended or status.succeeded:
        log.info("attempt %d goes on with cluster %s", attempt.attempt, attempt.cluster_id)
        return attempt
    failure = clusters.classify_end(status, attempt=attempt.attempt)
    ledger.end(
        clients.app,
        training_id=attempt.training_id,
        attempt=attempt.attempt,
        outcome="failed",
        failure_code=failure.code,
        failure_reason=failure.sentence,
    )
    return launch_attempt(clients, order)


def _list_inputs(s3: Any, order: Order) -> Inputs:
    places = order.model.inputs.resolve(model=order.model.name, data_date=order.training.data_date)
    marker = order.model.inputs.marker
    return Inputs(
        train=list_input(s3, places.train, marker=marker),
        validation=None if places.validation is None else list_input(s3, places.validation, marker=marker),
        test=list_input(s3, places.test, marker=marker),
    )


def _search(clients: Clients, attempt: Attempt) -> ClusterStatus | None:
    # the request is recorded right before RunJobFlow is called: without it there was no call
    if attempt.request_sha256 is None:
        return None
    log.info("the launch of %s was begun and its answer lost; searching EMR for it", attempt.cluster_name)
    return clusters.find_by_name(clients.emr, attempt.cluster_name, seconds=clusters.LIST_LAG_SECONDS)


def _launch(clients: Clients, order: Order, inputs: Inputs, attempt: Attempt) -> Attempt:
    cluster = order.model.cluster
    body = training_request(
        training=order.training,
        attempt=attempt.attempt,
        model=order.model,
        inputs=inputs,
        lineage=order.lineage,
        deadline=datetime.now(timezone.utc) + timedelta(minutes=cluster.deadline_minutes),
    )
    bucket, key = split_uri(order.training.request_uri(attempt.attempt))
    clients.s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    ledger.record_request(
        clients.app,
        training_id=attempt.training_id,
        attempt=attempt.attempt,
        request_sha256=Sha256(hashlib.sha256(body).hexdigest()),
    )
    request = job_flow_request(
        training=order.training, attempt=attempt.attempt, cluster=cluster, code=order.code
    )
    return _record(clients, order, attempt, _run_job_flow(clients, attempt, request))


def _run_job_flow(clients: Clients, attempt: Attempt, request: dict[str, Any]) -> ClusterId:
    give_up = time.monotonic() + _THROTTLED_SECONDS
    delay_seconds = 2.0
    while True:
        try:
            return clusters.launch(clients.launching_emr, request)
        except clusters.LaunchThrottledError:
            if time.monotonic() > give_up:
                raise
        except clusters.LaunchRefusedError as error:
            ledger.end(
                clients.app,
                training_id=attempt.training_id,
                attempt=attempt.attempt,
                outcome="failed",
                failure_code="launch_refused",
                failure_reason=str(error),
            )
            raise
        time.sleep(delay_seconds + random.uniform(0, delay_seconds))  # noqa: S311
        delay_seconds = min(2 * delay_seconds, 30)


def _record(clients: Clients, order: Order, attempt: Attempt, cluster_id: ClusterId) -> Attempt:
    log.info("attempt %d of %s has cluster %s", attempt.attempt, order.model.name, cluster_id)
    return ledger.record_launch(
        clients.app, training_id=attempt.training_id, attempt=attempt.attempt, cluster_id=cluster_id
    )
