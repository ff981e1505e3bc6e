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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType
from typing import Any, Literal

from sqlalchemy import Engine

from trainyard import ledger
from trainyard.ledger import Attempt, attempts_by_training
from trainyard.publishing import gate
from trainyard.publishing.analytics import AttemptRecord, record_attempts
from trainyard.publishing.application import (
    Candidate,
    PublishedVersion,
    champions,
    publish_versions,
    published_versions,
)
from trainyard.publishing.approval import OPEN, Policy, answered
from trainyard.publishing.deciding import WAITING, Challenger, Champion, Verdict, feature_count_mistake
from trainyard.publishing.s3_folder import RefusedError
from trainyard.publishing.spool import Spool
from trainyard.publishing.training_folder import TrainedModel, read_failure, read_trained_model
from trainyard.training import Training, TrainingId

_OUTCOME_WORDS = {
    "held_back": "held back",
    "inconclusive": "held back",
    "recorded": "recorded, not activated",
}

_WAITING = "it waits for a person's answer: clear the task judge and what follows it to be asked"

# boto3 keeps ten connections for a client
_READERS = 8

Status = Literal[
    "activated",
    "held_back",
    "inconclusive",
    "waiting_for_approval",
    "recorded",
    "measured",
    "skipped",
    "failed",
]


@dataclass(frozen=True)
class ModelOutcome:
    """How publishing ended for one model.

    :param status: ``activated``: its version serves or has served; ``held_back``: a version is kept, which did not
        pass; ``inconclusive``: so too, since too little is known; ``waiting_for_approval``: metrics are kept, and a
        version will be once a person has answered; ``recorded``: a version is kept, but what serves has newer data or
        is pinned; ``measured``: only metrics were wanted; ``skipped``: nothing was to be trained; ``failed``: there was
        nothing to publish
    :param sentence: for a person
    :param live: whether the version serves now
    """

    model: str
    status: Status
    version_id: int | None
    failure_code: str | None
    sentence: str
    decision_code: str | None = None
    live: bool = False


@dataclass(frozen=True)
class NotLaunched:
    """Why a training got no cluster.

    :param skipped: it needed none, which is no failure
    """

    code: str
    sentence: str
    skipped: bool = False


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
            _outcome(attempts, published.get(training_id), activate=activate)
            for training_id, attempts in records.items()
        ),
        Seconds(*(end - start for start, end in itertools.pairwise(times))),
    )


Records = Mapping[TrainingId, Sequence[AttemptRecord]]


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


def read_records(
    app: Engine,
    s3: Any,
    trainings: Sequence[Training],
    not_launched: Mapping[str, NotLaunched],
    spool: Spool,
) -> Records:
    """Every attempt of every training, at least one record each."""
    attempts = attempts_by_training(app, [training.training_id for training in trainings])
    models = [training.model for training in trainings]
    with app.connect() as connection:
        live = champions(connection, portfolio=trainings[0].portfolio, models=models) if trainings else {}

    def read(training: Training) -> list[AttemptRecord]:
        champion = live.get(training.model)
        return [
            _read_attempt(app, s3, training, attempt, champion=champion, spool=spool)
            for attempt in attempts[training.training_id]
        ] or [_without_attempt(training, not_launched.get(training.model))]

    with ThreadPoolExecutor(_READERS) as readers:
        return {records[0].training.training_id: records for records in readers.map(read, trainings)}


def _without_attempt(training: Training, told: NotLaunched | None) -> AttemptRecord:
    unknown = f"no attempt was made: the log of task {training.model}.create_cluster says why"
    return AttemptRecord(
        training=training,
        attempt=None,
        trained=None,
        outcome="skipped" if told and told.skipped else "failed",
        failure_code=told.code if told else "no_manifest",
        failure_sentence=told.sentence if told else unknown,
    )


def _read_attempt(
    app: Engine, s3: Any, training: Training, attempt: Attempt, *, champion: Champion | None, spool: Spool
) -> AttemptRecord:
    try:
        trained = read_trained_model(s3, attempt, spool)
        _check_width(trained, training, champion)
    except RefusedError as refusal:
        code, sentence = _cause(s3, attempt, refusal)
        return AttemptRecord(
            training=training,
            attempt=attempt,
            trained=None,
            outcome=_outcome_without_model(attempt),
            failure_code=code,
            failure_sentence=sentence,
        )
    if attempt.state != "ended":
        # whoever waited for it could not reach the ledger
        attempt = ledger.end(
            app, training_id=attempt.training_id, attempt=attempt.attempt, outcome="succeeded"
        )
    return AttemptRecord(training=training, attempt=attempt, trained=trained, outcome="succeeded")


def _check_width(trained: TrainedModel, training: Training, champion: Champion | None) -> None:
    """Refuse another feature count in the feature space of what serves."""
    artifact = trained.artifact
    challenger = Challenger(training.data_date, artifact.feature_space, artifact.num_features)
    mistake = None if champion is None else feature_count_mistake(challenger, champion)
    if mistake is not None:
        raise RefusedError("feature_count_changed", f"{trained.artifact_uri}: {mistake}")


def _cause(s3: Any, attempt: Attempt, refusal: RefusedError) -> tuple[str, str]:
    """What the job said; else how the ledger says it ended; else that the manifest does not hold."""
    if refusal.code != "no_manifest":
        return refusal.code, refusal.sentence
    told = read_failure(s3, attempt.output_uri)
    if told is not None:
        return told.code, told.sentence if told.place is None else f"{told.sentence} ({told.place})"
    if attempt.failure_code is not None:
        return attempt.failure_code, attempt.failure_reason or attempt.failure_code
    return refusal.code, f"{refusal.sentence} (the ledger has it as {attempt.outcome or attempt.state})"


def _outcome_without_model(attempt: Attempt) -> str:
    if attempt.state != "ended":
        return "unfinished"
    return "abandoned" if attempt.outcome == "abandoned" else "failed"


def _publishable(attempts: Sequence[AttemptRecord]) -> AttemptRecord | None:
    """The last attempt with a valid manifest, wherever its cluster ended afterwards."""
    return next((record for record in reversed(attempts) if record.trained is not None), None)


def candidates_of(records: Records, spool: Spool, policy: Policy) -> list[Candidate]:
    """What there is to publish, each with what its gate and a person say."""
    chosen = (_publishable(attempts) for attempts in records.values())
    return [
        Candidate(
            training=record.training,
            attempt=record.number,
            trained=record.trained,
            verdict=_verdict(record, record.trained, spool, policy),
        )
        for record in chosen
        if record is not None and record.trained is not None
    ]


def _verdict(record: AttemptRecord, trained: TrainedModel, spool: Spool, policy: Policy) -> Verdict:
    rules = policy.gate(record.training.model)
    verdict = gate.judge(rules, metrics=trained.metrics(spool), request=trained.request)
    if not policy.asks or not (verdict.passes or verdict.passes_as_first):
        return verdict
    return answered(verdict, policy.answer, training=record.training, attempt=record.number)


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
        version, chosen = published.get(training_id), _publishable(attempts)
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


def _outcome(
    attempts: Sequence[AttemptRecord], version: PublishedVersion | None, *, activate: bool
) -> ModelOutcome:
    model, last = attempts[-1].training.model, attempts[-1]
    if version is not None:
        sentence = _sentence(version, attempts)
        live = version.live_version_id == version.version_id
        return ModelOutcome(model, version.outcome, version.version_id, None, sentence, version.code, live)
    if _publishable(attempts) is not None and activate:
        return ModelOutcome(model, "waiting_for_approval", None, None, _WAITING)
    if _publishable(attempts) is not None:
        return ModelOutcome(model, "measured", None, None, "metrics recorded, no version was wanted")
    status: Status = "skipped" if last.outcome == "skipped" else "failed"
    return ModelOutcome(model, status, None, last.failure_code, last.failure_sentence or "")


def _sentence(version: PublishedVersion, attempts: Sequence[AttemptRecord]) -> str:
    name = f"version {version.version_id}"
    live = f"version {version.live_version_id} of data date {version.live_data_date} serves"
    if version.live_version_id == version.version_id:
        sentence = f"{name} serves"
    elif version.outcome == "activated":
        sentence = f"{name} was activated; now {live}"
    elif version.live_version_id is None:
        sentence = f"{name} is {_OUTCOME_WORDS[version.outcome]}, nothing serves yet: {version.sentence}"
    else:
        sentence = f"{name} is {_OUTCOME_WORDS[version.outcome]}: {version.sentence}; {live}"
    chosen = _publishable(attempts)
    if chosen is not None and chosen.number != version.attempt:
        sentence += (
            f"; it is of attempt {version.attempt}, attempt {chosen.number} came after the training was published: "
            "start a new run to publish anew"
        )
    return sentence
