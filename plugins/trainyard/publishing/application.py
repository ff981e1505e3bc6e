"""What serves: versions recorded and activated in the application database, schema ``serving``.

Whoever writes here first takes the portfolio's lock, so that two publishes, or a publish and a rollback, happen one
after the other in some order and each decides by what really serves. Readers of ``live_model`` never wait.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Engine, text

from trainyard.publishing.training_folder import TrainedModel
from trainyard.training import Training, TrainingId

LARGEST_STORED_ARTIFACT_BYTES = 64 << 20

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('trainyard.publish.' || :portfolio, 0))")

_INSERT_VERSION = text(
    """
    INSERT INTO serving.model_version
        (portfolio, model, data_date, training_id, attempt, artifact, artifact_uri, artifact_sha256,
         feature_space, num_features, threshold, lineage)
    VALUES
        (:portfolio, :model, :data_date, :training_id, :attempt, :artifact, :artifact_uri, :artifact_sha256,
         :feature_space, :num_features, :threshold, CAST(:lineage AS jsonb))
    """
)

# on equal data dates the version recorded later wins, and that is always the new one
_ACTIVATE = text(
    """
    INSERT INTO serving.activation (version_id, portfolio, model, actor, reason, replaced_version_id)
    SELECT new.version_id, new.portfolio, new.model, :actor,
           CASE WHEN live.version_id IS NULL THEN 'the first version'
                WHEN new.data_date > live.data_date THEN 'newer data than of ' || live.data_date
                ELSE 'a later training on data of the same date'
           END,
           live.version_id
    FROM serving.model_version AS new
    LEFT JOIN serving.live_model AS live USING (portfolio, model)
    WHERE new.training_id = ANY(:training_ids) AND (live.version_id IS NULL OR new.data_date >= live.data_date)
    ORDER BY new.version_id
    """
)

_PUBLISHED = text(
    """
    SELECT version.training_id, version.version_id, version.attempt,
           EXISTS (SELECT FROM serving.activation WHERE version_id = version.version_id) AS activated,
           live.version_id AS live_version_id, live.data_date AS live_data_date
    FROM serving.model_version AS version
    LEFT JOIN serving.live_model AS live USING (portfolio, model)
    WHERE version.training_id = ANY(:training_ids)
    """
)


@dataclass(frozen=True)
class Candidate:
    """A trained model on its way to a version."""

    training: Training
    attempt: int
    trained: TrainedModel


@dataclass(frozen=True)
class PublishedVersion:
    """The version a training became.

    :param activated: whether it ever served
    :param live_version_id: what serves now
    """

    training_id: TrainingId
    version_id: int
    attempt: int
    activated: bool
    live_version_id: int | None
    live_data_date: date | None


def publish_versions(app: Engine, *, portfolio: str, candidates: Sequence[Candidate], actor: str) -> None:
    """Record a version of each candidate and activate those not older than what serves, in one transaction.

    A training that has its version already keeps it, and is neither recorded nor activated again.

    :param actor: who the log of activations names
    """
    with app.begin() as connection:
        lock_portfolio(connection, portfolio)
        existing = _published(connection, [candidate.training.training_id for candidate in candidates])
        new = [candidate for candidate in candidates if candidate.training.training_id not in existing]
        if new:
            connection.execute(_INSERT_VERSION, [_version(candidate) for candidate in new])
            new_ids = [candidate.training.training_id for candidate in new]
            connection.execute(_ACTIVATE, {"training_ids": new_ids, "actor": actor})


def published_versions(
    app: Engine, *, training_ids: Sequence[TrainingId]
) -> dict[TrainingId, PublishedVersion]:
    """The versions that trainings have become; one without a version is left out."""
    with app.connect() as connection:
        return _published(connection, training_ids)


def lock_portfolio(connection: Connection, portfolio: str) -> None:
    """Until the transaction ends, nobody else records or activates versions of the portfolio."""
    connection.execute(_LOCK, {"portfolio": portfolio})


def _published(
    connection: Connection, training_ids: Sequence[TrainingId]
) -> dict[TrainingId, PublishedVersion]:
    rows = connection.execute(_PUBLISHED, {"training_ids": list(training_ids)}).mappings()
    return {row["training_id"]: PublishedVersion(**row) for row in rows}


def _version(candidate: Candidate) -> dict[str, Any]:
    training, trained = candidate.training, candidate.trained
    # no time stamp: the same artifact gives the same bytes
    compressed = gzip.compress(trained.artifact_content, compresslevel=6, mtime=0)
    stored = len(compressed) <= LARGEST_STORED_ARTIFACT_BYTES
    return {
        "portfolio": training.portfolio,
        "model": training.model,
        "data_date": training.data_date,
        "training_id": training.training_id,
        "attempt": candidate.attempt,
        "artifact": compressed if stored else None,
        "artifact_uri": None if stored else trained.artifact_uri,
        "artifact_sha256": trained.artifact_sha256,
        "feature_space": trained.artifact.feature_space,
        "num_features": trained.artifact.num_features,
        "threshold": trained.artifact.threshold,
        "lineage": json.dumps(trained.artifact.lineage, sort_keys=True),
    }
