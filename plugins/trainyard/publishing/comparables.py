"""Which older versions a training is to be compared with: the champion, and the best version of the last 30 days.

Both must understand the same features: of another feature space or width, nothing is compared.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text

from trainyard.request import Comparables, OldVersion
from trainyard.training import Training

RECENT_DAYS = 30

# Of what served and is not of newer data than the training, what was activated last. In a nightly run that is what
# serves now; in a backfill it is what a run of that day would have found. A person's rollback counts, as it does there.
_CHAMPION = text(
    """
    SELECT version.version_id, version.training_id, version.attempt, version.data_date, attempt.output_uri AS folder,
           version.feature_space, version.num_features
    FROM serving.activation
    JOIN serving.model_version AS version USING (version_id, portfolio, model)
    JOIN operations.attempt AS attempt USING (training_id, attempt)
    WHERE version.portfolio = :portfolio AND version.model = :model AND version.data_date <= :data_date
    ORDER BY activation_id DESC LIMIT 1
    """
)

# What a person went back from is no yardstick: it may be good by its log loss alone.
_SERVED = text(
    """
    SELECT version.version_id, version.training_id, version.attempt, version.data_date, attempt.output_uri AS folder,
           decision.report
    FROM serving.model_version AS version
    JOIN serving.decision AS decision USING (version_id)
    JOIN operations.attempt AS attempt USING (training_id, attempt)
    WHERE version.portfolio = :portfolio AND version.model = :model
      AND version.feature_space = :feature_space AND version.num_features = :num_features
      AND version.data_date > :after AND version.data_date <= :data_date
      AND EXISTS (SELECT FROM serving.activation WHERE activation.version_id = version.version_id)
      AND NOT EXISTS (
          SELECT FROM serving.activation AS back
          WHERE back.replaced_version_id = version.version_id AND back.version_id < version.version_id
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
    """The versions that served, as of the training's data date."""
    place = {"portfolio": training.portfolio, "model": training.model, "data_date": training.data_date}
    with app.connect() as connection:
        row = connection.execute(_CHAMPION, place).mappings().one_or_none()
        if row is None or (row["feature_space"], row["num_features"]) != (feature_space, num_features):
            return Comparables()
        champion = _old_version(row)
        space = {"feature_space": feature_space, "num_features": num_features}
        return Comparables(champion, _best_recent(connection, champion, {**place, **space}))


def _best_recent(
    connection: Connection, champion: OldVersion, wanted: Mapping[str, Any]
) -> OldVersion | None:
    after = wanted["data_date"] - timedelta(days=RECENT_DAYS)
    rows = connection.execute(_SERVED, {**wanted, "after": after}).mappings().all()
    links = [link for row in rows for link in links_of(row["version_id"], row["report"])]
    best = best_version(
        champion.version_id, links, among={row["version_id"]: row["data_date"] for row in rows}
    )
    return next((_old_version(row) for row in rows if row["version_id"] == best), None)


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
