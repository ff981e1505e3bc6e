"""A run's trainings → what each attempt left, read and checked, and what of it there is to publish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from trainyard import ledger
from trainyard.ledger import Attempt, attempts_by_training
from trainyard.publishing import gate
from trainyard.publishing.analytics import AttemptRecord
from trainyard.publishing.application import Candidate, champions
from trainyard.publishing.approval import Policy, answered
from trainyard.publishing.deciding import Challenger, Champion, Verdict, feature_count_mistake
from trainyard.publishing.s3_folder import RefusedError
from trainyard.publishing.spool import Spool
from trainyard.publishing.training_folder import TrainedModel, read_failure, read_trained_model
from trainyard.training import Training, TrainingId

# boto3 keeps ten connections for a client
_READERS = 8

Records = Mapping[TrainingId, Sequence[AttemptRecord]]


@dataclass(frozen=True)
class NotLaunched:
    """Why a training got no cluster.

    :param skipped: it needed none, which is no failure
    """

    code: str
    sentence: str
    skipped: bool = False


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


def publishable(attempts: Sequence[AttemptRecord]) -> AttemptRecord | None:
    """The last attempt with a valid manifest, wherever its cluster ended afterwards."""
    return next((record for record in reversed(attempts) if record.trained is not None), None)


def candidates_of(records: Records, spool: Spool, policy: Policy) -> list[Candidate]:
    """What there is to publish, each with what its gate and a person say."""
    chosen = (publishable(attempts) for attempts in records.values())
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
