"""What the two databases say about models, read for a person: the live ones, their history, how a run went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from sqlalchemy import Engine, text

from trainyard.databases import utc_values
from trainyard.training import TrainingId


@dataclass(frozen=True)
class LiveModel:
    """A model's version that serves, now or at the time that was asked about; times are UTC.

    :param threshold: on the scale of ``score_kind``
    :param replaced_version_id: what served before; none for a model's first
    """

    portfolio: str
    model: str
    version_id: int
    data_date: date
    training_id: TrainingId
    attempt: int
    threshold: float
    score_kind: str
    feature_space: str
    num_features: int
    artifact_sha256: str
    published_at: datetime
    activated_at: datetime
    actor: str
    reason: str
    replaced_version_id: int | None
    pinned: bool


@dataclass(frozen=True)
class VersionEvent:
    """What happened to a version; times are UTC.

    :param event: ``activated``; ``recorded`` or ``held_back``: published and not activated; ``pinned``, ``unpinned``
    :param at: when
    :param actor: a person or a DAG run; none for what publishing decided not to activate
    :param live: whether this activation says what serves now
    :param emptied: whether retention let go of the version's artifact
    """

    portfolio: str
    model: str
    version_id: int
    data_date: date
    training_id: TrainingId
    attempt: int
    published_at: datetime
    event: str
    at: datetime
    actor: str | None
    reason: str
    replaced_version_id: int | None
    live: bool
    emptied: bool


@dataclass(frozen=True)
class TrainingSummary:
    """How one training went, its last attempt's numbers beside the version it became.

    :param published_as: activated, held_back, inconclusive, recorded, waiting_for_approval or measured; none for a
        failure
    :param rows: of the train split; metrics are of the test split
    :param seconds: from the launch of the cluster to its end
    """

    portfolio: str
    model: str
    data_date: date
    training_id: TrainingId
    attempt: int
    outcome: str
    failure_code: str | None
    failure_sentence: str | None
    published_as: str | None
    version_id: int | None
    live: bool
    rows: int | None
    test_rows: int | None
    auc: float | None
    log_loss: float | None
    precision: float | None
    recall: float | None
    threshold: float | None
    cluster_id: str | None
    seconds: float | None


# of all that had happened by then, the last activation of each model says what served; it is found in
# activation_by_model, newest first, so that no log of any length is sorted
_LIVE = text(
    f"""
    SELECT {", ".join(field.name for field in fields(LiveModel) if field.name != "pinned")},
           coalesce(pin.pinned, false) AS pinned
    FROM serving.served_model AS served
    CROSS JOIN LATERAL (
        SELECT version_id, activated_at, actor, reason, replaced_version_id
        FROM serving.activation
        WHERE activation.portfolio = served.portfolio AND activation.model = served.model
          AND activated_at <= coalesce(CAST(:at AS timestamptz), 'infinity')
        ORDER BY activation_id DESC
        LIMIT 1
    ) AS newest
    JOIN serving.model_version USING (version_id, portfolio, model)
    LEFT JOIN LATERAL (
        SELECT pinned FROM serving.pin
        WHERE (pin.portfolio, pin.model) = (served.portfolio, served.model)
          AND pinned_at <= coalesce(CAST(:at AS timestamptz), 'infinity')
        ORDER BY pin_id DESC LIMIT 1
    ) AS pin ON true
    ORDER BY portfolio, model
    """  # noqa: S608 (our own list of columns)
)

# at one moment, what was activated comes before what was pinned for it: the newest first
_HISTORY = text(
    """
    SELECT version.portfolio, version.model, version.version_id, version.data_date, version.training_id,
           version.attempt, version.published_at, happened.event, happened.at, happened.actor, happened.reason,
           happened.replaced_version_id, coalesce(happened.activation_id = live.activation_id, false) AS live,
           version.emptied_at IS NOT NULL AS emptied
    FROM (
        SELECT version_id, 'activated' AS event, activated_at AS at, actor, reason, replaced_version_id,
               activation_id, 1 AS step
        FROM serving.activation
        UNION ALL
        SELECT version_id, outcome, decided_at, NULL, sentence, NULL, NULL, 0
        FROM serving.decision
        WHERE outcome <> 'activated'
        UNION ALL
        SELECT version_id, CASE WHEN pinned THEN 'pinned' ELSE 'unpinned' END, pinned_at, actor, reason, NULL, NULL, 2
        FROM serving.pin
    ) AS happened
    JOIN serving.model_version AS version USING (version_id)
    LEFT JOIN serving.live_model AS live ON (live.portfolio, live.model) = (version.portfolio, version.model)
    WHERE version.model = :model
      AND (CAST(:portfolio AS text) IS NULL OR version.portfolio = :portfolio)
    ORDER BY version.portfolio, happened.at DESC, happened.step DESC, happened.activation_id DESC, version_id DESC
    """
)

# of several attempts, the one that was published, else the last that succeeded, else the last
_SUMMARY = text(
    """
    SELECT DISTINCT ON (portfolio, model, training_id)
           portfolio, model, data_date, training_id, attempt, outcome, failure_code, failure_sentence,
           published_as, train_rows AS rows, test_rows, auc, log_loss, precision, recall, threshold,
           cluster_id, cluster_seconds AS seconds
    FROM analytics.training
    LEFT JOIN LATERAL (
        SELECT max(value) FILTER (WHERE name = 'auc') AS auc,
               max(value) FILTER (WHERE name = 'log_loss') AS log_loss,
               max(value) FILTER (WHERE name = 'precision') AS precision,
               max(value) FILTER (WHERE name = 'recall') AS recall
        FROM analytics.metric
        WHERE (metric.training_id, metric.attempt) = (training.training_id, training.attempt) AND split = 'test'
    ) AS on_test ON true
    WHERE training_id = ANY(:training_ids)
    ORDER BY portfolio, model, training_id, published_as IS NULL, outcome <> 'succeeded', attempt DESC
    """
)

_VERSIONS = text(
    """
    SELECT version.training_id, version.version_id, live.version_id IS NOT NULL AS live
    FROM serving.model_version AS version
    LEFT JOIN serving.live_model AS live USING (version_id)
    WHERE version.training_id = ANY(:training_ids)
    """
)


def live_models(app: Engine, *, at: datetime | None = None) -> list[LiveModel]:
    """What serves, by portfolio and model.

    :param at: the time that is asked about, with its offset; none: now
    """
    with app.connect() as connection:
        return [LiveModel(**utc_values(row)) for row in connection.execute(_LIVE, {"at": at}).mappings()]


def history(app: Engine, *, portfolio: str | None, model: str) -> list[VersionEvent]:
    """What happened to a model's versions, the newest first: activations, versions not activated, pins.

    :param portfolio: none looks in all portfolios
    """
    with app.connect() as connection:
        rows = connection.execute(_HISTORY, {"portfolio": portfolio, "model": model}).mappings()
        return [VersionEvent(**utc_values(row)) for row in rows]


def run_summary(app: Engine, analytics: Engine, training_ids: Sequence[TrainingId]) -> list[TrainingSummary]:
    """How trainings went, by model, read back from both databases; one that was never published has no row."""
    wanted = {"training_ids": list(training_ids)}
    with app.connect() as connection:
        versions = {row["training_id"]: row for row in connection.execute(_VERSIONS, wanted).mappings()}
    with analytics.connect() as connection:
        rows = [dict(row) for row in connection.execute(_SUMMARY, wanted).mappings()]
    nothing = {"version_id": None, "live": False}
    for row in rows:
        version = versions.get(row["training_id"], nothing)
        row |= {name: version[name] for name in nothing}
    return [TrainingSummary(**row) for row in rows]
