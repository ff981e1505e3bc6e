"""What trainings told about themselves, in the analytics database, schema ``analytics``.

All rows of the given trainings are replaced in one transaction, and no others are touched, so that writing them
again (after a crash, or to put them right) leaves what writing them once leaves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, text

from trainyard.costs import cost_usd, normalized_instance_hours
from trainyard.ledger import Attempt
from trainyard.publishing.formats import Interval, Metrics
from trainyard.publishing.spool import Spool
from trainyard.publishing.training_folder import TrainedModel
from trainyard.training import Training

PublishedAs = Literal[
    "activated", "held_back", "inconclusive", "recorded", "waiting_for_approval", "measured"
]

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('trainyard.analytics.' || :portfolio, 0))")

# metrics and curves go with their training
_DELETE = text("DELETE FROM analytics.training WHERE training_id = ANY(:training_ids)")

_TRAINING_COLUMNS = (
    *("training_id", "attempt", "deployment", "portfolio", "model", "data_date", "dag_id", "run_id"),
    *("outcome", "failure_code", "failure_sentence", "published_as", "version_id"),
    *("decision_code", "decision_sentence", "decision_report", "fresh_within"),
    *("cluster_name", "cluster_id", "step_id", "output_uri", "intended_at", "launched_at", "ended_at"),
    *("instances", "normalized_instance_hours", "cost_usd"),
    *("load_seconds", "learn_seconds", "evaluate_seconds", "job_seconds"),
    *(
        "train_rows",
        "test_rows",
        "num_features",
        "feature_space",
        "iterations",
        "objective",
        "threshold",
        "score_kind",
    ),
    *("warnings", "request_sha256", "artifact_sha256"),
    *("code_sha256", "portfolio_sha256", "input_fingerprint"),
)
_BOUNDS = ("standard_error", "low", "high", "level")
_SPLIT_METRICS_COLUMNS = ("training_id", "attempt", "split", "name", "value", *_BOUNDS)
_COMPARISON_COLUMNS = (
    *("training_id", "attempt", "against", "version_id", "data_date", "name", "old_value"),
    *("difference", *_BOUNDS, "rows", "groups"),
)
_CURVE_COLUMNS = ("training_id", "attempt", "split", "name", "x_name", "y_name", "x", "y")

# a list by name: of any other sequence each number is looked at before it is written, which takes four times as long
_NUMBERS: TypeAdapter[Sequence[float | None]] = TypeAdapter(list[float | None])


@dataclass(frozen=True)
class AttemptRecord:
    """One attempt as analytics keeps it.

    :param attempt: none where the training never came to one
    :param trained: what a valid manifest vouches for; none for a failure
    :param published_as: none unless it is this attempt that was published, or that waits to be
    :param fresh_within: how old the data of what serves may be
    """

    training: Training
    attempt: Attempt | None
    trained: TrainedModel | None
    outcome: str
    failure_code: str | None = None
    failure_sentence: str | None = None
    published_as: PublishedAs | None = None
    version_id: int | None = None
    decision_code: str | None = None
    decision_sentence: str | None = None
    decision_report: Mapping[str, Any] = field(default_factory=dict)
    fresh_within: timedelta | None = None

    @property
    def number(self) -> int:
        """The attempt's number, 0 where there was none."""
        return 0 if self.attempt is None else self.attempt.attempt


def record_attempts(
    analytics: Engine, *, portfolio: str, records: Sequence[AttemptRecord], spool: Spool
) -> None:
    """Replace every row of the records' trainings; ``records`` holds all attempts of each.

    :param spool: holds what the records' trainings measured
    """
    training_ids = sorted({record.training.training_id for record in records})
    rows = _Rows(spool, [record for record in records if record.trained is not None])
    with analytics.begin() as connection:
        # two deletes at once would see nothing of each other's inserts, and those would collide
        connection.execute(_LOCK, {"portfolio": portfolio})
        connection.execute(_DELETE, {"training_ids": training_ids})
        _copy(connection, "training", _TRAINING_COLUMNS, (_training_row(each, spool) for each in records))
        _copy(connection, "split_metrics", _SPLIT_METRICS_COLUMNS, rows.split_metrics())
        _copy(connection, "comparison", _COMPARISON_COLUMNS, rows.comparisons())
        _copy(connection, "curve", _CURVE_COLUMNS, rows.curves())


def _copy(
    connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """COPY: a run of a thousand models brings thousands of rows, and one INSERT each would take a minute."""
    cursor: Any = connection.connection.cursor()
    with cursor, cursor.copy(f"COPY analytics.{table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _training_row(record: AttemptRecord, spool: Spool) -> tuple[object, ...]:
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
        "decision_code": record.decision_code,
        "decision_sentence": record.decision_sentence,
        "decision_report": json.dumps(dict(record.decision_report), sort_keys=True),
        "fresh_within": record.fresh_within,
        "warnings": "[]",
    }
    if attempt is not None:
        of_the_ledger = ("cluster_name", "cluster_id", "step_id", "output_uri", "request_sha256")
        times = ("intended_at", "launched_at", "ended_at")
        values |= {name: getattr(attempt, name) for name in (*of_the_ledger, *times)}
        values |= _cost_values(attempt)
    if record.trained is not None:
        values |= _trained_values(record.trained, spool)
    return tuple(values.get(column) for column in _TRAINING_COLUMNS)


def _cost_values(attempt: Attempt) -> dict[str, object]:
    """What its cluster cost, however it ended; nothing where there was no cluster or its make-up is unknown."""
    asked = attempt.instances
    if attempt.launched_at is None or asked is None:
        return {}
    values: dict[str, object] = {
        "instances": json.dumps([each.model_dump(mode="json") for each in asked], sort_keys=True)
    }
    if attempt.ended_at is not None:
        seconds = (attempt.ended_at - attempt.launched_at).total_seconds()
        values["normalized_instance_hours"] = normalized_instance_hours(asked, seconds)
        values["cost_usd"] = cost_usd(asked, seconds)
    return values


def _trained_values(trained: TrainedModel, spool: Spool) -> dict[str, object]:
    metrics, lineage = trained.metrics(spool), trained.request.lineage
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
        "score_kind": trained.artifact.score_kind,
        "warnings": json.dumps([warning.model_dump() for warning in metrics.warnings]),
        "artifact_sha256": trained.artifact_sha256,
        "code_sha256": lineage.code_sha256,
        "portfolio_sha256": lineage.portfolio_sha256,
        "input_fingerprint": lineage.input_fingerprint,
    }


@dataclass(frozen=True)
class _Rows:
    """The rows of what trainings measured, read back from the spool one training at a time."""

    spool: Spool
    records: Sequence[AttemptRecord]

    def split_metrics(self) -> Iterator[tuple[object, ...]]:
        for key, metrics in self._metrics():
            for split in metrics.metrics.keys() | metrics.intervals.keys():
                intervals = metrics.intervals.get(split, {})
                values = {name: interval.value for name, interval in intervals.items()}
                values |= metrics.metrics.get(split, {})
                # in the same order every time, so that writing them again writes the same row
                found = [(name, values[name], *_bounds(intervals.get(name))) for name in sorted(values)]
                if found:
                    names, *numbers = map(list, zip(*found, strict=True))
                    yield *key, split, names, *map(_array, numbers)

    def comparisons(self) -> Iterator[tuple[object, ...]]:
        for key, metrics in self._metrics():
            for against, old in metrics.comparisons.by_name().items():
                for name in old.metrics.keys() | old.differences.keys():
                    difference = old.differences.get(name)
                    found = (None, *_bounds(None), None, None)
                    if difference is not None:
                        found = (
                            difference.value,
                            *_bounds(difference),
                            difference.rows,
                            difference.groups,
                        )
                    yield *key, against, old.version_id, old.data_date, name, old.metrics.get(name), *found

    def curves(self) -> Iterator[tuple[object, ...]]:
        for key, trained in self._trained():
            for name, curve in trained.curves(self.spool).curves.items():
                yield *key, curve.split, name, curve.x_name, curve.y_name, _array(curve.x), _array(curve.y)

    def _metrics(self) -> Iterator[tuple[tuple[str, int], Metrics]]:
        return ((key, trained.metrics(self.spool)) for key, trained in self._trained())

    def _trained(self) -> Iterator[tuple[tuple[str, int], TrainedModel]]:
        for record in self.records:
            if record.trained is not None:
                yield (record.training.training_id, record.number), record.trained


def _bounds(interval: Interval | None) -> tuple[float | None, ...]:
    if interval is None:
        return None, None, None, None
    return interval.standard_error, interval.low, interval.high, interval.level


def _array(numbers: Sequence[float | None]) -> str:
    """An array as PostgreSQL reads it: numbers as JSON has them, far quicker than what the driver makes of a list."""
    return "{" + _NUMBERS.dump_json(numbers).decode()[1:-1] + "}"
