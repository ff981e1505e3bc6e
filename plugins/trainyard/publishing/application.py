"""What serves: versions recorded and activated in the application database, schema ``serving``.

Whoever writes here first takes the schema's lock, so that two publishes, or a publish and a rollback, happen one
after the other in some order and each decides by what really serves. Readers of ``live_model`` never wait.

Ids are counted here, under the lock, and not by the tables' sequences, which leave gaps where a transaction fails:
what was killed and run again gets the ids of an undisturbed run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, Engine, text

from trainyard.publishing.deciding import Challenger, Champion, Decision, Outcome, Verdict, decide
from trainyard.publishing.spool import Spool
from trainyard.publishing.training_folder import TrainedModel
from trainyard.training import Training, TrainingId

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('trainyard.serving', 0))")

# by the clock, not by the transaction's start: whoever waited for the lock comes later in the log and in time
_POSITION = text(
    """
    SELECT clock_timestamp() AS moment,
           (SELECT coalesce(max(version_id), 0) FROM serving.model_version) AS version_id,
           (SELECT coalesce(max(activation_id), 0) FROM serving.activation) AS activation_id,
           (SELECT coalesce(max(pin_id), 0) FROM serving.pin) AS pin_id
    """
)

# a person's own INSERT counts on from here
_ADVANCE = text(
    """
    SELECT setval(pg_get_serial_sequence(:table, :column), :last)
    """
)

_CHAMPIONS = text(
    """
    SELECT live.model, live.version_id, live.data_date, live.feature_space, live.num_features,
           CASE WHEN pin.pinned THEN pin.actor END AS pinned_by,
           CASE WHEN pin.pinned THEN pin.reason END AS pinned_reason
    FROM serving.live_model AS live
    LEFT JOIN LATERAL (
        SELECT pinned, actor, reason FROM serving.pin
        WHERE (pin.portfolio, pin.model) = (live.portfolio, live.model)
        ORDER BY pin_id DESC LIMIT 1
    ) AS pin ON true
    WHERE live.portfolio = :portfolio AND live.model = ANY(:models)
    """
)

_PUBLISHED = text(
    """
    SELECT version.training_id, version.version_id, version.attempt,
           decision.outcome, decision.code, decision.sentence, decision.report,
           live.version_id AS live_version_id, live.data_date AS live_data_date
    FROM serving.model_version AS version
    JOIN serving.decision AS decision USING (version_id)
    LEFT JOIN serving.live_model AS live USING (portfolio, model)
    WHERE version.training_id = ANY(:training_ids)
    """
)

_VERSION_COLUMNS = {
    "version_id": "int8",
    "portfolio": "text",
    "model": "text",
    "data_date": "date",
    "training_id": "text",
    "attempt": "int4",
    "artifact": "bytea",
    "artifact_uri": "text",
    "artifact_sha256": "text",
    "feature_space": "text",
    "num_features": "int4",
    "threshold": "float8",
    "score_kind": "text",
    "lineage": "jsonb",
    "published_at": "timestamptz",
}
_DECISION_COLUMNS = {
    "version_id": "int8",
    "outcome": "text",
    "code": "text",
    "sentence": "text",
    "report": "jsonb",
    "decided_at": "timestamptz",
}
_ACTIVATION_COLUMNS = {
    "activation_id": "int8",
    "version_id": "int8",
    "portfolio": "text",
    "model": "text",
    "activated_at": "timestamptz",
    "actor": "text",
    "reason": "text",
    "replaced_version_id": "int8",
}


@dataclass(frozen=True)
class Candidate:
    """A trained model on its way to a version.

    :param verdict: what was found out about it; none lets it pass
    """

    training: Training
    attempt: int
    trained: TrainedModel
    verdict: Verdict | None = None


@dataclass(frozen=True)
class PublishedVersion:
    """The version a training became.

    :param outcome: what was decided when it was recorded, with ``code``, ``sentence`` and ``report``
    :param live_version_id: what serves now
    """

    training_id: TrainingId
    version_id: int
    attempt: int
    outcome: Outcome
    code: str
    sentence: str
    report: Mapping[str, Any]
    live_version_id: int | None
    live_data_date: date | None


@dataclass(frozen=True)
class Position:
    """Where the logs end, and the time at which the lock was got."""

    moment: datetime
    version_id: int
    activation_id: int
    pin_id: int


@dataclass(frozen=True)
class _Recorded:
    """A candidate as the version it becomes."""

    version_id: int
    candidate: Candidate
    decision: Decision
    replaced_version_id: int | None


def publish_versions(
    app: Engine, *, portfolio: str, candidates: Sequence[Candidate], actor: str, spool: Spool
) -> None:
    """Record a version of each candidate and activate those that shall serve, in one transaction.

    A training that has its version already keeps it, and is neither recorded nor activated again.

    :param actor: who the log of activations names
    :param spool: holds the candidates' artifacts
    """
    with app.begin() as connection:
        position = lock_serving(connection)
        existing = _published(connection, [candidate.training.training_id for candidate in candidates])
        new = [candidate for candidate in candidates if candidate.training.training_id not in existing]
        recorded = _decided(connection, portfolio, new, position) if new else []
        if recorded:
            _record(connection, recorded, position, spool)
            _activate(connection, recorded, position, actor)


def published_versions(
    app: Engine, *, training_ids: Sequence[TrainingId]
) -> dict[TrainingId, PublishedVersion]:
    """The versions that trainings have become; one without a version is left out."""
    with app.connect() as connection:
        return _published(connection, training_ids)


def champions(connection: Connection, *, portfolio: str, models: Sequence[str]) -> dict[str, Champion]:
    """What serves, by model; a model without a live version is left out."""
    rows = connection.execute(_CHAMPIONS, {"portfolio": portfolio, "models": list(models)}).mappings()
    return {row["model"]: Champion(**{key: row[key] for key in row if key != "model"}) for row in rows}


def lock_serving(connection: Connection) -> Position:
    """Until the transaction ends, nobody else records, activates or pins versions."""
    connection.execute(_LOCK)
    return Position(**connection.execute(_POSITION).mappings().one())


def _published(
    connection: Connection, training_ids: Sequence[TrainingId]
) -> dict[TrainingId, PublishedVersion]:
    rows = connection.execute(_PUBLISHED, {"training_ids": list(training_ids)}).mappings()
    return {row["training_id"]: PublishedVersion(**row) for row in rows}


def _decided(
    connection: Connection, portfolio: str, new: Sequence[Candidate], position: Position
) -> list[_Recorded]:
    """What becomes of each candidate; one that waits for a person's answer is not recorded yet."""
    live = champions(connection, portfolio=portfolio, models=[candidate.training.model for candidate in new])
    decisions = [(candidate, decide_on(candidate, live.get(candidate.training.model))) for candidate in new]
    recorded = [pair for pair in decisions if pair[1].outcome != "waiting_for_approval"]
    return [
        _Recorded(version_id, candidate, decision, _version_of(live.get(candidate.training.model)))
        for version_id, (candidate, decision) in enumerate(recorded, start=position.version_id + 1)
    ]


def decide_on(candidate: Candidate, champion: Champion | None) -> Decision:
    """What becomes of a candidate beside what serves."""
    artifact = candidate.trained.artifact
    challenger = Challenger(
        data_date=candidate.training.data_date,
        feature_space=artifact.feature_space,
        num_features=artifact.num_features,
        verdict=candidate.verdict,
    )
    return decide(challenger, champion)


def _version_of(champion: Champion | None) -> int | None:
    return None if champion is None else champion.version_id


def _record(connection: Connection, recorded: Sequence[_Recorded], position: Position, spool: Spool) -> None:
    rows = (_version_row(item, position.moment, spool) for item in recorded)
    _copy(connection, "model_version", _VERSION_COLUMNS, rows)
    decisions = (
        (
            item.version_id,
            item.decision.outcome,
            item.decision.code,
            item.decision.sentence,
            Jsonb(dict(item.decision.report)),
            position.moment,
        )
        for item in recorded
    )
    _copy(connection, "decision", _DECISION_COLUMNS, decisions)
    advance(connection, "model_version", "version_id", recorded[-1].version_id)


def _activate(connection: Connection, recorded: Sequence[_Recorded], position: Position, actor: str) -> None:
    activated = [item for item in recorded if item.decision.outcome == "activated"]
    rows = (
        (
            activation_id,
            item.version_id,
            item.candidate.training.portfolio,
            item.candidate.training.model,
            position.moment,
            actor,
            item.decision.sentence,
            item.replaced_version_id,
        )
        for activation_id, item in enumerate(activated, start=position.activation_id + 1)
    )
    _copy(connection, "activation", _ACTIVATION_COLUMNS, rows)
    if activated:
        advance(connection, "activation", "activation_id", position.activation_id + len(activated))


def advance(connection: Connection, table: str, column: str, last: int) -> None:
    """Let a table's sequence go on after ids that were counted here."""
    connection.execute(_ADVANCE, {"table": f"serving.{table}", "column": column, "last": last})


def _copy(
    connection: Connection, table: str, columns: Mapping[str, str], rows: Iterable[Sequence[object]]
) -> None:
    """COPY in binary: artifacts travel as they are, a row at a time."""
    cursor: Any = connection.connection.cursor()
    statement = f"COPY serving.{table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    with cursor, cursor.copy(statement) as copy:
        copy.set_types(list(columns.values()))
        for row in rows:
            copy.write_row(row)


def _version_row(item: _Recorded, moment: datetime, spool: Spool) -> tuple[object, ...]:
    training, trained = item.candidate.training, item.candidate.trained
    kept = trained.kept_artifact
    values: dict[str, object] = {
        "version_id": item.version_id,
        "portfolio": training.portfolio,
        "model": training.model,
        "data_date": training.data_date,
        "training_id": training.training_id,
        "attempt": item.candidate.attempt,
        "artifact": None if kept is None else spool.read(kept),
        "artifact_uri": trained.artifact_uri if kept is None else None,
        "artifact_sha256": trained.artifact_sha256,
        "feature_space": trained.artifact.feature_space,
        "num_features": trained.artifact.num_features,
        "threshold": trained.artifact.threshold,
        "score_kind": trained.artifact.score_kind,
        "lineage": Jsonb(trained.artifact.lineage),
        "published_at": moment,
    }
    return tuple(values[column] for column in _VERSION_COLUMNS)
