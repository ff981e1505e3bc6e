"""A training → a running attempt: its request written, its cluster launched or adopted. Clients are handed in.

The order is what keeps one cluster per attempt: the intent is in the ledger before RunJobFlow is called and the
cluster's id at once after it; only an intent whose answer was lost makes us search for the cluster by its name.
"""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import Engine

from trainyard import clusters, ledger
from trainyard.clusters import Failure
from trainyard.costs import make_up
from trainyard.inputs import InputObject, list_input
from trainyard.instances import Prices
from trainyard.job_flow import JobCode, job_flow_request
from trainyard.judging import judge
from trainyard.ledger import Attempt, ClusterId, Limits, Pace, Reservation
from trainyard.portfolio import GRACE_MINUTES, Model
from trainyard.publishing import find_comparables, has_manifest
from trainyard.request import Comparables, Inputs, Lineage, training_request
from trainyard.training import Sha256, Training, split_uri

# Throttling delays a launch; beyond this the task comes back later and goes on with the same attempt.
_THROTTLED_SECONDS = 900
_LISTED_JUST_NOW_SECONDS = 60
# how far EMR's clock and the database's may be apart
_CLOCK_DIFFERENCE = timedelta(minutes=5)

log = logging.getLogger(__name__)


class AttemptFailedError(Exception):
    """The training's last attempt was found to have failed, and there is to be no other."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.code}: {failure.sentence}")
        self.failure = failure


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
class Terms:
    """How the account lets clusters be launched, and what this one takes of it.

    :param vcpus: of its cluster at its largest; none where no limit counts them
    :param priority: higher goes first
    :param prices: reads vCPUs and prices of instance types, at the launch and not before
    """

    limits: Limits = field(default_factory=Limits)
    pace: Pace | None = None
    vcpus: int | None = None
    priority: int = 0
    prices: Callable[[], Prices] = Prices

    @property
    def reservation(self) -> Reservation:
        return Reservation(vcpus=self.vcpus, priority=self.priority, queued=self.limits.bound)


@dataclass(frozen=True)
class Order:
    """What is to be trained, and how.

    :param tries_before: Airflow's tries of the task before this one, since a person last cleared it
    """

    training: Training
    model: Model
    code: JobCode
    lineage: Lineage
    aws_conn_id: str
    terms: Terms = field(default_factory=Terms)
    tries_before: int = 0


def launch_or_resume(clients: Clients, order: Order) -> Attempt:
    """The training's attempt that is live or ended well, if there is one; else a new one with a cluster of its own.

    One that ended well has left a manifest: EMR's word alone does not make it good.

    An attempt that must wait for a slot is returned as ``queued``, without a cluster.

    :raises trainyard.inputs.InputMissingError: an input is not there; no attempt was taken
    :raises trainyard.clusters.LaunchRefusedError: EMR refused the request; the attempt has ended as failed
    :raises trainyard.clusters.LaunchThrottledError: for a quarter of an hour; the attempt waits to be launched
    :raises AttemptFailedError: the last attempt failed meanwhile, and there is to be no other
    """
    attempts = ledger.attempts(clients.app, order.training.training_id)
    if attempts and (attempts[-1].state != "ended" or attempts[-1].outcome == "succeeded"):
        resumed = _resume(clients, order, attempts)
        if resumed is not None:
            return resumed
    inputs = _list_inputs(clients.s3, order)
    attempt = ledger.allocate(
        clients.app,
        training=order.training,
        aws_conn_id=order.aws_conn_id,
        reservation=order.terms.reservation,
    )
    if attempt.state == "queued" and not _admitted(clients, order, attempt):
        return attempt
    return _launch(clients, order, inputs, attempt)


def replace_awaited(clients: Clients, order: Order, attempts: Sequence[Attempt]) -> None:
    """End a live attempt that an earlier try of the wait has waited for, so that the training gets a fresh cluster.

    :param attempts: the training's; the last is live
    :raises AttemptFailedError: it failed meanwhile, and there is to be no other
    """
    attempt = attempts[-1]
    verdict = judge(attempt, attempts=attempts, emr=clients.emr, s3=clients.s3)
    if verdict.live:
        clusters.terminate(clients.emr, ClusterId(str(attempt.cluster_id)))
        superseded = Failure("superseded", "a new try of the task took a fresh cluster", retry=True)
        end_attempt(clients.app, attempt, superseded, outcome="abandoned")
    else:
        _settle(clients, order, attempt, verdict.failure)


def used_up(attempts: Sequence[Attempt], *, retries: int, tries: int) -> bool:
    """Whether as many attempts have failed as the model's retries allow.

    The ledger counts: Airflow's tries are also spent on databases and services that are away for a while.

    :param tries: since a person last cleared the task; no more attempts can have failed in them
    """
    failed = sum(attempt.outcome == "failed" for attempt in attempts)
    return min(failed, tries) > retries


def end_attempt(
    app: Engine, attempt: Attempt, failure: Failure | None, *, outcome: ledger.Outcome | None = None
) -> Attempt:
    """Write the attempt's end into the ledger, as ``outcome`` or as the failure says; the first end stays."""
    return ledger.end(
        app,
        training_id=attempt.training_id,
        attempt=attempt.attempt,
        outcome=outcome or ("failed" if failure else "succeeded"),
        failure_code=failure.code if failure else None,
        failure_reason=failure.sentence if failure else None,
    )


def give_up_at(order: Order, attempt: Attempt) -> datetime:
    """When the attempt is overdue: its deadline and a grace later than its launch."""
    begun = attempt.launched_at or attempt.intended_at
    return begun + timedelta(minutes=order.model.cluster.deadline_minutes + GRACE_MINUTES)


def _resume(clients: Clients, order: Order, attempts: Sequence[Attempt]) -> Attempt | None:
    """The last attempt, if it is live or ended well; none where a cluster must be launched."""
    attempt = attempts[-1]
    if attempt.state == "ended":
        # by EMR's word alone: what publish refused for want of a manifest and a person cleared is to be trained again
        return attempt if has_manifest(clients.s3, attempt.output_uri) else None
    if attempt.cluster_id is None:
        found = _search(clients, attempt)
        if found is None:
            return None
        attempt = _record(clients, attempt, found)
    verdict = judge(attempt, attempts=attempts, emr=clients.emr, s3=clients.s3)
    if verdict.live:
        log.info("attempt %d goes on with cluster %s", attempt.attempt, attempt.cluster_id)
        return attempt
    failure = verdict.failure
    if failure is None and not has_manifest(clients.s3, attempt.output_uri):
        sentence = f"cluster {attempt.cluster_id} ended well and left no manifest"
        failure = Failure("no_manifest", sentence, retry=True)
    ended = _settle(clients, order, attempt, failure)
    return ended if failure is None else None


def _settle(clients: Clients, order: Order, attempt: Attempt, failure: Failure | None) -> Attempt:
    ended = end_attempt(clients.app, attempt, failure)
    if failure is not None:
        attempts = ledger.attempts(clients.app, attempt.training_id)
        retries = order.model.retries
        if not failure.retry or used_up(attempts, retries=retries, tries=order.tries_before):
            raise AttemptFailedError(failure)
    return ended


def _search(clients: Clients, attempt: Attempt) -> ClusterId | None:
    """The cluster of an intent without an answer; an intent that stays without one is ended, its name used no more."""
    # the request is recorded right before RunJobFlow is called: without it there was no call
    if attempt.request_sha256 is None:
        return None
    log.info("the launch of %s was begun and its answer lost; searching EMR for it", attempt.cluster_name)
    found = clusters.find_by_name(
        clients.emr,
        attempt.cluster_name,
        created_after=attempt.intended_at - _CLOCK_DIFFERENCE,
        seconds=clusters.LIST_LAG_SECONDS,
    )
    if found is not None:
        return found.cluster_id
    unanswered = Failure(
        "launch_unanswered", "RunJobFlow gave no answer, and EMR lists no such cluster", retry=True
    )
    end_attempt(clients.app, attempt, unanswered, outcome="abandoned")
    return None


def _list_inputs(s3: Any, order: Order) -> Inputs:
    places = order.model.inputs.resolve(model=order.model.name, data_date=order.training.data_date)

    def listed(place: str | None) -> tuple[InputObject, ...] | None:
        return None if place is None else list_input(s3, place, marker=places.marker)

    return Inputs(
        train=list_input(s3, places.train, marker=places.marker),
        validation=listed(places.validation),
        test=listed(places.test),
    )


def _admitted(clients: Clients, order: Order, attempt: Attempt) -> bool:
    """Whether the attempt gets a slot at once; what EMR lists is read where nobody has read it just now."""
    app, aws_conn_id = clients.app, order.aws_conn_id
    if ledger.listed_seconds_ago(app, aws_conn_id) > _LISTED_JUST_NOW_SECONDS:
        with ledger.listing_lock(app):
            if ledger.listed_seconds_ago(app, aws_conn_id) > _LISTED_JUST_NOW_SECONDS:
                began_at = datetime.now(timezone.utc)
                active = clusters.active_clusters(clients.emr)
                ledger.record_listing(app, clusters.listing_of(aws_conn_id, began_at, active))
    key = (attempt.training_id, attempt.attempt)
    return key in ledger.admit(app, limits=order.terms.limits, aws_conn_id=aws_conn_id, asking=[key])


def _launch(clients: Clients, order: Order, inputs: Inputs, attempt: Attempt) -> Attempt:
    cluster = order.model.cluster
    asked = make_up(cluster, order.terms.prices())
    if order.terms.pace is not None:
        # before the request is written: its deadline counts from the launch
        time.sleep(ledger.launch_delay_seconds(clients.app, order.terms.pace))
    body = training_request(
        training=order.training,
        attempt=attempt.attempt,
        model=order.model,
        inputs=inputs,
        lineage=order.lineage,
        deadline=datetime.now(timezone.utc) + timedelta(minutes=cluster.deadline_minutes),
        comparables=_comparables(clients.app, order),
    )
    # before it is put: where another worker has recorded its own, that one's file must stay as it is
    attempt = ledger.record_request(
        clients.app,
        training_id=attempt.training_id,
        attempt=attempt.attempt,
        request_sha256=Sha256(hashlib.sha256(body).hexdigest()),
        instances=asked,
    )
    bucket, key = split_uri(order.training.request_uri(attempt.attempt))
    clients.s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    request = job_flow_request(
        training=order.training, attempt=attempt.attempt, cluster=cluster, code=order.code
    )
    return _record(clients, attempt, _run_job_flow(clients, attempt, request))


def _comparables(app: Engine, order: Order) -> Comparables:
    """What the gate will want to know about older versions."""
    model = order.model
    found = find_comparables(
        app,
        training=order.training,
        feature_space=model.feature_space,
        num_features=model.num_features,
    )
    return found if model.gate.compares else Comparables(serving=found.serving)


def _run_job_flow(clients: Clients, attempt: Attempt, request: dict[str, Any]) -> ClusterId:
    give_up = time.monotonic() + _THROTTLED_SECONDS
    delay_seconds = 2.0
    while True:
        try:
            return clusters.launch(clients.launching_emr, request)
        except clusters.LaunchThrottledError:
            if time.monotonic() > give_up:
                _take_back(clients, attempt)
                raise
        except clusters.LaunchRefusedError as error:
            end_attempt(clients.app, attempt, Failure("launch_refused", str(error), retry=False))
            raise
        except (BotoCoreError, ClientError) as error:
            if not clusters.may_have_launched(error):
                _take_back(clients, attempt)
                raise
            log.warning("RunJobFlow gave no answer to %s", attempt.cluster_name, exc_info=True)
            # at once: a cluster that nobody knows of runs, and this may be the last try
            found = _search(clients, attempt)
            if found is None:
                raise
            return found
        time.sleep(delay_seconds + random.uniform(0, delay_seconds))  # noqa: S311
        delay_seconds = min(2 * delay_seconds, 30)


def _take_back(clients: Clients, attempt: Attempt) -> None:
    """Nothing was made, so that nobody needs to search for it."""
    ledger.take_back_request(
        clients.app,
        training_id=attempt.training_id,
        attempt=attempt.attempt,
        request_sha256=Sha256(str(attempt.request_sha256)),
    )


def _record(clients: Clients, attempt: Attempt, cluster_id: ClusterId) -> Attempt:
    """Write the cluster into the ledger; one that the ledger does not want any more must not run on."""
    try:
        launched = ledger.record_launch(
            clients.app, training_id=attempt.training_id, attempt=attempt.attempt, cluster_id=cluster_id
        )
    except ledger.LedgerError:
        clusters.terminate(clients.emr, cluster_id)
        raise
    if launched.state == "ended":
        clusters.terminate(clients.emr, cluster_id)
        raise ledger.LedgerError(
            f"{attempt.model}: attempt {attempt.attempt} ended while its cluster {cluster_id} was launched"
        )
    log.info("attempt %d of %s has cluster %s", attempt.attempt, attempt.model, cluster_id)
    return launched
