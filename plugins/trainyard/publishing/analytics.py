"""What trainings told about themselves, in the analytics database, schema ``analytics``.

All rows of the given trainings are replaced in one transaction, and no others are touched, so that writing them
again (after a crash, or to put them right) leaves what writing them once leaves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Engine, text

from trainyard.ledger import Attempt
from trainyard.publishing.training_folder import TrainedModel
from trainyard.training import Training

PublishedAs = Literal["activated", "recorded", "measured"]

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('trainyard.analytics.' || :portfolio, 0))")

# metrics and curves go with their training
_DELETE = text("DELETE FROM analytics.training WHERE training_id = ANY(:training_ids)")

_TRAINING_COLUMNS = (
    *("training_id", "attempt", "deployment", "portfolio", "model", "data_date", "dag_id", "run_id"),
    *("outcome", "failure_code", "failure_sentence", "published_as", "version_id"),
    *("cluster_name", "cluster_id", "step_id", "output_uri", "intended_at", "launched_at", "ended_at"),
    *("load_seconds", "learn_seconds", "evaluate_seconds", "job_seconds"),
    *("train_rows", "test_rows", "num_features", "feature_space", "iterations", "objective", "threshold"),
    *("warnings", "request_sha256", "artifact_sha256"),
    *("code_sha256", "portfolio_sha256", "input_fingerprint"),
)
_METRIC_COLUMNS = ("training_id", "attempt", "split", "name", "value")
_CURVE_COLUMNS = ("training_id", "attempt", "split", "name", "x_name", "y_name", "x", "y")


@dataclass(frozen=True)
class AttemptRecord:
    """One attempt as analytics keeps it.

    :param attempt: none where the training never came to one
    :param trained: what a valid manifest vouches for; none for a failure
    :param published_as: none unless it is this attempt that was published
    """

    training: Training
    attempt: Attempt | None
    trained: TrainedModel | None
    outcome: str
    failure_code: str | None = None
    failure_sentence: str | None = None
    published_as: PublishedAs | None = None
    version_id: int | None = None

    @property
    def number(self) -> int:
        """The attempt's number, 0 where there was none."""
        return 0 if self.attempt is None else self.attempt.attempt


def record_attempts(analytics: Engine, *, portfolio: str, records: Sequence[AttemptRecord]) -> None:
    """Replace every row of the records' trainings; ``records`` holds all attempts of each."""
    training_ids = sorted({record.training.training_id for record in records})
    trained = [record for record in records if record.trained is not None]
    with analytics.begin() as connection:
        # two deletes at once would see nothing of each other's inserts, and those would collide
        connection.execute(_LOCK, {"portfolio": portfolio})
        connection.execute(_DELETE, {"training_ids": training_ids})
        _copy(connection, "training", _TRAINING_COLUMNS, map(_training_row, records))
        _copy(connection, "metric", _METRIC_COLUMNS, _metric_rows(trained))
        _copy(connection, "curve", _CURVE_COLUMNS, _curve_rows(trained))


def _copy(
    connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """COPY: a run of a hundred models brings thousands of metrics, and one INSERT each would take a minute."""
    cursor: Any = connection.connection.cursor()
    with cursor, cursor.copy(f"COPY analytics.{table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _training_row(record: AttemptRecord) -> tuple[object, ...]:
    training, attempt = record.training, record.attempt
    values: dict[str, object] = {
        "training_id": training.training_id,
        "attempt": record.number,
        "deployment": training.deployment,
        "portfolio": training.portfolio,
        "model": training.model,
        "data_date": training.data_date,
        "dag_id": training.dag_id,
        "run_id": training.run_id,
        "outcome": record.outcome,
        "failure_code": record.failure_code,
        "failure_sentence": record.failure_sentence,
        "published_as": record.published_as,
        "version_id": record.version_id,
        "warnings": "[]",
    }
    if attempt is not None:
        of_the_ledger = ("cluster_name", "cluster_id", "step_id", "output_uri", "request_sha256")
        times = ("intended_at", "launched_at", "ended_at")
        values |= {name: getattr(attempt, name) for name in (*of_the_ledger, *times)}
    if record.trained is not None:
        values |= _trained_values(record.trained)
    return tuple(values.get(column) for column in _TRAINING_COLUMNS)


def _trained_values(trained: TrainedModel) -> dict[str, object]:
    metrics, lineage = trained.metrics, trained.request.lineage
    return {
        "load_seconds": metrics.durations_seconds.load,
        "learn_seconds": metrics.durations_seconds.learn,
        "evaluate_seconds": metrics.durations_seconds.evaluate,
        "job_seconds": metrics.durations_seconds.total,
        "train_rows": metrics.rows("train"),
        "test_rows": metrics.rows("test"),
        "num_features": trained.artifact.num_features,
        "feature_space": trained.artifact.feature_space,
        "iterations": metrics.iterations,
        "objective": metrics.objective,
        "threshold": trained.artifact.threshold,
        "warnings": json.dumps(metrics.warnings),
        "artifact_sha256": trained.artifact_sha256,
        "code_sha256": lineage.code_sha256,
        "portfolio_sha256": lineage.portfolio_sha256,
        "input_fingerprint": lineage.input_fingerprint,
    }


def _metric_rows(records: Sequence[AttemptRecord]) -> Iterator[tuple[object, ...]]:
    for record in records:
        splits = record.trained.metrics.metrics if record.trained else {}
        for split, metrics in splits.items():
            for name, value in metrics.items():
                yield record.training.training_id, record.number, split, name, value


def _curve_rows(records: Sequence[AttemptRecord]) -> Iterator[tuple[object, ...]]:
    for record in records:
        curves = record.trained.curves.curves if record.trained else {}
        for name, curve in curves.items():
            axes = (curve.x_name, curve.y_name, curve.x, curve.y)
            yield record.training.training_id, record.number, curve.split, name, *axes
