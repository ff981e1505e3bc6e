"""Clusters that outlived their need → ended; and only those. Clients are handed in, and what knows Airflow's runs.

A cluster is a candidate by its name, and ours only if its tags say so. It is ended where by the ledger and by its run
nobody owns it, or where it is over age, whoever owns it. Where runs cannot be read, only age counts.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from sqlalchemy import Engine

from trainyard import clusters, ledger
from trainyard.clusters import ActiveCluster
from trainyard.job_flow import DEPLOYMENT_TAG, MAXIMUM_AGE_TAG, deployment_prefix
from trainyard.ledger import Attempt

# a cluster without the tag is one of a version before it: longer than any deadline
_AGE_WITHOUT_TAG = timedelta(days=8)
# no maximum age is below it, so that a younger cluster need not be described
_LEAST_AGE = timedelta(minutes=31)

log = logging.getLogger(__name__)


class RunsUnreadableError(Exception):
    """Airflow does not say how its runs stand."""


class Runs(Protocol):
    """What knows how Airflow's runs stand."""

    def wait_goes_on(self, *, dag_id: str, run_id: str, model: str) -> bool:
        """Whether the run is there and not over, and the model's wait is yet to end.

        :raises RunsUnreadableError: nobody can say
        """


@dataclass(frozen=True)
class Stray:
    """A cluster that is to be ended.

    :param attempt: its row of the ledger; none where there is none
    """

    cluster: ActiveCluster
    attempt: Attempt | None
    why: str


@dataclass
class Reaped:
    """What became of the strays of one account and region.

    :param strays: those that were ended, or would be
    :param failures: of each cluster that could not be looked at or ended, a sentence
    """

    strays: list[Stray] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def reap(*, app: Engine, emr: Any, deployment: str, runs: Runs, dry_run: bool) -> Reaped:
    """End the deployment's clusters of one account and region that outlived their need.

    One that cannot be looked at or ended does not keep the others.

    :param emr: a boto3 EMR client; one ListClusters, and a DescribeCluster for each cluster that may be a stray
    :param dry_run: only say which would be
    """
    prefix = deployment_prefix(deployment)
    candidates = [item for item in clusters.live_clusters(emr) if item.name.startswith(prefix)]
    attempts = ledger.attempts_by_cluster_name(app, [item.name for item in candidates])
    reaped = Reaped()
    for candidate in candidates:
        try:
            stray = _stray(emr, candidate, attempts.get(candidate.name), deployment=deployment, runs=runs)
            if stray is not None and not dry_run:
                _end_stray(app, emr, stray)
        except Exception as error:
            log.exception("cluster %s (%s) could not be reaped", candidate.cluster_id, candidate.name)
            reaped.failures.append(f"cluster {candidate.cluster_id} ({candidate.name}): {error}")
        else:
            reaped.strays += [stray] if stray is not None else []
    return reaped


def end_forgotten(*, app: Engine, deployment: str, runs: Runs) -> list[Attempt]:
    """End attempts without a cluster that no run waits for any more, so that they hold no slot."""
    forgotten = []
    for attempt in ledger.attempts_without_cluster(app, deployment):
        try:
            owned = runs.wait_goes_on(dag_id=attempt.dag_id, run_id=attempt.run_id, model=attempt.model)
        except RunsUnreadableError:
            continue
        if not owned:
            _end(app, attempt, "no run waits for it")
            forgotten.append(attempt)
    return forgotten


def _stray(
    emr: Any, candidate: ActiveCluster, attempt: Attempt | None, *, deployment: str, runs: Runs
) -> Stray | None:
    age = datetime.now(timezone.utc) - candidate.created_at
    unowned = _why_nobody_owns(candidate, attempt, runs)
    if unowned is None and age < _LEAST_AGE:
        return None
    tags = clusters.tags_of(emr, candidate.cluster_id)
    if tags.get(DEPLOYMENT_TAG) != deployment:
        return None
    if unowned is not None:
        return Stray(candidate, attempt, unowned)
    most = _maximum_age(tags)
    return Stray(candidate, attempt, f"it is {age} old, and {most} is its age") if age > most else None


def _why_nobody_owns(candidate: ActiveCluster, attempt: Attempt | None, runs: Runs) -> str | None:
    if attempt is None:
        # the intent is written before the launch: without it this is another ledger's, and only its age can tell
        return None
    try:
        owned = runs.wait_goes_on(dag_id=attempt.dag_id, run_id=attempt.run_id, model=attempt.model)
    except RunsUnreadableError:
        return None
    if attempt.state == "ended":
        return f"its attempt has ended ({attempt.failure_code or attempt.outcome})"
    if attempt.cluster_id not in {None, candidate.cluster_id}:
        return f"its attempt has another cluster, {attempt.cluster_id}"
    return None if owned else f"run {attempt.run_id} of {attempt.dag_id} does not wait for it"


def _maximum_age(tags: Mapping[str, str]) -> timedelta:
    minutes = tags.get(MAXIMUM_AGE_TAG, "")
    return timedelta(minutes=int(minutes)) if minutes.isdecimal() else _AGE_WITHOUT_TAG


def _end_stray(app: Engine, emr: Any, stray: Stray) -> None:
    clusters.terminate(emr, stray.cluster.cluster_id)
    if stray.attempt is not None and stray.attempt.state != "ended" and _is_its_own(stray):
        _end(app, stray.attempt, stray.why)


def _is_its_own(stray: Stray) -> bool:
    return stray.attempt is not None and stray.attempt.cluster_id in {None, stray.cluster.cluster_id}


def _end(app: Engine, attempt: Attempt, why: str) -> None:
    ledger.end(
        app,
        training_id=attempt.training_id,
        attempt=attempt.attempt,
        outcome="abandoned",
        failure_code="reaped",
        failure_reason=why,
    )
