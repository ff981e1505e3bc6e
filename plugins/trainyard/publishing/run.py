"""One run's trainings, after all have ended → what serves, what analytics knows, and a report of each model.

Killed anywhere and run again, it ends in the same state, by this order:

1. Everything is read before anything is published: the ledger, then each attempt's folder, which is checked and
   kept in a spool on disk. A store that is down fails the task here, with nothing done.
2. One transaction on the application database records every version, what was decided about it, and makes every
   activation of the run. Killed in it, nothing of it is there. It goes first since what serves must not wait for
   analytics, and since its version ids are what analytics refers to. Run again after its commit, each training is
   found to have its version and nothing is added: a version's training id is unique, and only a version recorded in
   this very transaction is ever activated by it. So a rollback that a person made between the two runs holds, and
   what was decided is read back, not decided anew.
3. One transaction on the analytics database replaces all rows of the run's trainings by what steps 1 and 2 say.
   Killed in it, the rows from before are there; run again, the same rows are written, since step 2 gives the same
   versions back.

So whatever commits there were, a second run starts from one of three states (neither committed, the first, both) and
ends in the third. Two publishes at the same time are one after the other in each database, by a lock; what
activates is decided under the first one, and analytics rows of two different runs are disjoint.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType
from typing import Any

from sqlalchemy import Engine

from trainyard.publishing.analytics import AttemptRecord, record_attempts
from trainyard.publishing.application import (
    Candidate,
    PublishedVersion,
    publish_versions,
    published_versions,
)
from trainyard.publishing.approval import OPEN, Policy
from trainyard.publishing.deciding import WAITING, Verdict
from trainyard.publishing.outcomes import ModelOutcome, outcome_of
from trainyard.publishing.records import NotLaunched, Records, candidates_of, publishable, read_records
from trainyard.publishing.spool import Spool
from trainyard.training import Training, TrainingId


@dataclass(frozen=True)
class Seconds:
    """How long the parts of publishing took: reading and checking folders, the switch, analytics."""

    read: float
    switch: float
    analytics: float


@dataclass(frozen=True)
class RunReport:
    """One outcome for each training, in the order in which they were given."""

    outcomes: tuple[ModelOutcome, ...]
    seconds: Seconds = field(default=Seconds(0, 0, 0), compare=False)


def publish_run(  # noqa: PLR0913 (what a run is, and where it goes)
    *,
    app: Engine,
    analytics: Engine,
    s3: Any,
    trainings: Sequence[Training],
    dag_id: str,
    run_id: str,
    data_date: date,
    portfolio: str,
    activate: bool,
    policy: Policy = OPEN,
    not_launched: Mapping[str, NotLaunched] = MappingProxyType({}),
) -> RunReport:
    """Publish what is good of a run and record all of it.

    :param s3: boto3 client of the account that holds the training folders
    :param activate: false records metrics only
    :param policy: what the models are held to before they serve
    :param not_launched: by model, why a training has no attempt, where its launch could say so
    :raises ValueError: trainings of another portfolio or data date, or two of one model
    :raises sqlalchemy.exc.SQLAlchemyError: a database does not do its part; run it again
    :raises botocore.exceptions.BotoCoreError: S3 does not do its part; run it again
    """
    _check_one_run(trainings, portfolio=portfolio, data_date=data_date)
    times = [time.perf_counter()]
    with Spool() as spool:
        records = read_records(app, s3, trainings, not_launched, spool)
        candidates = candidates_of(records, spool, policy) if activate else []
        times.append(time.perf_counter())
        if activate:
            actor = f"run {run_id} of DAG {dag_id}"
            publish_versions(app, portfolio=portfolio, candidates=candidates, actor=actor, spool=spool)
        published = published_versions(app, training_ids=list(records))
        times.append(time.perf_counter())
        kept = [
            replace(record, fresh_within=policy.fresh_within.get(record.training.model))
            for record in _with_publication(records, published, candidates)
        ]
        record_attempts(analytics, portfolio=portfolio, records=kept, spool=spool)
        times.append(time.perf_counter())
    return RunReport(
        tuple(
            outcome_of(attempts, published.get(training_id), activate=activate)
            for training_id, attempts in records.items()
        ),
        Seconds(*(end - start for start, end in itertools.pairwise(times))),
    )


def _check_one_run(trainings: Sequence[Training], *, portfolio: str, data_date: date) -> None:
    strangers = [
        training
        for training in trainings
        if (training.portfolio, training.data_date) != (portfolio, data_date)
    ]
    if strangers:
        first = strangers[0]
        raise ValueError(
            f"{first.model}: its training is of portfolio {first.portfolio!r} and data date {first.data_date}; "
            f"this run publishes {portfolio!r} of {data_date}"
        )
    if len({training.model for training in trainings}) != len(trainings):
        raise ValueError("a model stands twice among the trainings of one run")


def _with_publication(
    records: Records,
    published: Mapping[TrainingId, PublishedVersion],
    candidates: Sequence[Candidate],
) -> list[AttemptRecord]:
    """The records as analytics is to keep them.

    A version whose folder has been cleared away since keeps the rows that were written when it could be read.
    """
    verdicts = {candidate.training.training_id: candidate.verdict for candidate in candidates}
    kept = []
    for training_id, attempts in records.items():
        version, chosen = published.get(training_id), publishable(attempts)
        if version is None:
            verdict = verdicts.get(training_id)
            kept += [_without_version(item, verdict) if item is chosen else item for item in attempts]
        elif any(item.number == version.attempt and item.trained is not None for item in attempts):
            kept += [_of_version(item, version) for item in attempts]
    return kept


def _without_version(record: AttemptRecord, verdict: Verdict | None) -> AttemptRecord:
    """What was published got no version: it waits for a person, or only metrics were wanted (no verdict)."""
    if verdict is None:
        return replace(record, published_as="measured")
    return replace(
        record,
        published_as="waiting_for_approval",
        decision_code="waiting_for_approval",
        decision_sentence=WAITING,
        decision_report=verdict.report,
    )


def _of_version(record: AttemptRecord, version: PublishedVersion) -> AttemptRecord:
    if record.number != version.attempt or record.trained is None:
        return record
    return replace(
        record,
        published_as=version.outcome,
        version_id=version.version_id,
        decision_code=version.code,
        decision_sentence=version.sentence,
        decision_report=version.report,
    )
