"""Which older versions a training is to be compared with: the champion, and the best version of the last 30 days.

Both must understand the same features: of another feature space or width, nothing is compared. Where what serves is of
another one, the version of this one that served last stands in for the best: a space that a model comes back to is
not a new one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, text

from trainyard.request import Comparables, OldVersion
from trainyard.training import Training

RECENT_DAYS = 30

_LIVE = text("SELECT version_id FROM serving.live_model WHERE portfolio = :portfolio AND model = :model")

# What serves. Where that has newer data than the training, which can be of a backfill only, what a run of its day would
# have found: what served before newer data did for the first time, whatever a person went back to later.
_CHAMPION = text(
    """
    WITH served AS (
        SELECT activation_id, version.*
        FROM serving.activation
        JOIN serving.model_version AS version USING (version_id, portfolio, model)
        WHERE version.portfolio = :portfolio AND version.model = :model
    ), newer AS (
        SELECT min(activation_id) AS activation_id FROM served
        WHERE data_date > :data_date
          AND (SELECT data_date FROM served ORDER BY activation_id DESC LIMIT 1) > :data_date
    )
    SELECT version_id, training_id, attempt, served.data_date, attempt.output_uri AS folder,
           feature_space, num_features
    FROM served
    JOIN operations.attempt AS attempt USING (training_id, attempt)
    WHERE (served.activation_id < (SELECT activation_id FROM newer)) IS NOT FALSE
    ORDER BY served.activation_id DESC LIMIT 1
    """
)

# What a person went back from is no yardstick: it may be good by its log loss alone. Nor is what lies between that and
# what the person went back to, unless it was put live again afterwards. A run never replaces a version by one that
# comes before it in this order, so that whatever does is a way back.
_SERVED = text(
    """
    SELECT version.version_id, version.training_id, version.attempt, version.data_date, attempt.output_uri AS folder,
           decision.report,
           (SELECT max(activation_id) FROM serving.activation WHERE activation.version_id = version.version_id)
           AS last_activation_id
    FROM serving.model_version AS version
    JOIN serving.decision AS decision USING (version_id)
    JOIN operations.attempt AS attempt USING (training_id, attempt)
    WHERE version.portfolio = :portfolio AND version.model = :model
      AND version.feature_space = :feature_space AND version.num_features = :num_features
      AND version.data_date > :after AND version.data_date <= :data_date
      AND EXISTS (SELECT FROM serving.activation WHERE activation.version_id = version.version_id)
      AND NOT EXISTS (
          SELECT FROM serving.activation AS back
          JOIN serving.model_version AS target ON target.version_id = back.version_id
          JOIN serving.model_version AS replaced ON replaced.version_id = back.replaced_version_id
          WHERE (back.portfolio, back.model) = (version.portfolio, version.model)
            AND (target.data_date, target.version_id) < (version.data_date, version.version_id)
            AND (version.data_date, version.version_id) <= (replaced.data_date, replaced.version_id)
            AND back.activation_id > (
                SELECT max(activation_id) FROM serving.activation WHERE activation.version_id = version.version_id
            )
      )
    """
)


@dataclass(frozen=True)
class Link:
    """Two versions that were scored on the same test rows.

    :param log_ratio: natural logarithm of the newer one's log loss over the older one's there
    """

    newer: int
    older: int
    log_ratio: float


def find_comparables(
    app: Engine, *, training: Training, feature_space: str, num_features: int
) -> Comparables:
    """The versions that served, as of the training's data date; and what serves now, whatever its features."""
    place = {"portfolio": training.portfolio, "model": training.model, "data_date": training.data_date}
    # all by one state of what serves
    with app.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        serving = connection.execute(_LIVE, place).scalar()
        row = connection.execute(_CHAMPION, place).mappings().one_or_none()
        if row is None:
            return Comparables(serving=serving)
        space = {"feature_space": feature_space, "num_features": num_features}
        champion = _old_version(row) if all(row[name] == space[name] for name in space) else None
        return Comparables(champion, _best_recent(connection, champion, {**place, **space}), serving)


def _best_recent(
    connection: Connection, champion: OldVersion | None, wanted: Mapping[str, Any]
) -> OldVersion | None:
    """The best one; without a champion of the same features, the one that served last stands in for it."""
    rows = _served(connection, wanted, after=wanted["data_date"] - timedelta(days=RECENT_DAYS))
    if champion is None and not rows:
        rows = sorted(_served(connection, wanted, after=date.min), key=_last_activated)[-1:]
    if not rows:
        return None
    last = max(rows, key=_last_activated)
    start = last["version_id"] if champion is None else champion.version_id
    links = [link for row in rows for link in links_of(row["version_id"], row["report"])]
    among = {row["version_id"]: row["data_date"] for row in rows}
    best = best_version(start, links, among=among)
    if best is None and champion is None:
        best = start
    return next((_old_version(row) for row in rows if row["version_id"] == best), None)


def _served(connection: Connection, wanted: Mapping[str, Any], *, after: date) -> Sequence[RowMapping]:
    return connection.execute(_SERVED, {**wanted, "after": after}).mappings().all()


def _last_activated(row: RowMapping) -> int:
    return int(row["last_activation_id"])


def links_of(version_id: int, report: Mapping[str, Any]) -> list[Link]:
    """What a version was compared with, by the report of its decision."""
    return [
        Link(version_id, old["version_id"], math.log(old["log_loss"] / old["old_log_loss"]))
        for old in report.get("compared", {}).values()
        if old.get("log_loss") and old.get("old_log_loss")
    ]


def best_version(champion: int, links: Sequence[Link], *, among: Mapping[int, date]) -> int | None:
    """The version of the least log loss; none where that is the champion.

    Log losses of different nights' rows do not compare: one night is harder than another. But each version was scored
    on the same rows as its predecessor, and ratios of log losses multiply along such pairs. So each version has a log
    loss relative to the champion's, over the fewest pairs between the two. Versions that no pairs join to it are left
    out. Of equal ones, the newer data wins.

    :param among: the versions to choose from, with their data dates
    """
    levels = _levels(champion, links)
    known = [version for version in among if version in levels]
    best = min(known, key=lambda version: (levels[version], -among[version].toordinal()), default=champion)
    return None if levels[best] >= 0 else best


def _levels(start: int, links: Iterable[Link]) -> dict[int, float]:
    """Logarithm of each version's log loss over the start's, breadth first."""
    beside: dict[int, list[tuple[int, float]]] = {}
    for link in links:
        beside.setdefault(link.newer, []).append((link.older, -link.log_ratio))
        beside.setdefault(link.older, []).append((link.newer, link.log_ratio))
    levels = {start: 0.0}
    waiting = deque([start])
    while waiting:
        version = waiting.popleft()
        for other, step in beside.get(version, ()):
            if other not in levels:
                levels[other] = levels[version] + step
                waiting.append(other)
    return levels


def _old_version(row: Mapping[Any, Any]) -> OldVersion:
    return OldVersion(**{name: row[name] for name in OldVersion.__dataclass_fields__})
