"""What is let go of with time: artifacts of old versions that never served, curves of old trainings.

Metadata stays: which versions there were, how good they were, why they did not serve.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, text

from trainyard.portfolio import Portfolio

_EMPTY = text(
    "SELECT emptied_version_id, emptied_bytes FROM serving.empty_artifacts(:portfolio, :model, :keep_versions)"
)

_DROP_CURVES = text(
    """
    DELETE FROM analytics.curve USING analytics.training
    WHERE (curve.training_id, curve.attempt) = (training.training_id, training.attempt)
      AND training.portfolio = :portfolio
      AND coalesce(training.ended_at, training.intended_at, training.recorded_at) < now() - make_interval(days => :days)
    """
)


@dataclass(frozen=True)
class Pruned:
    """What one pruning let go of.

    :param versions: whose artifacts were emptied
    :param artifact_bytes: as they were stored in the database
    """

    versions: int
    artifact_bytes: int
    curves: int

    def __add__(self, other: Pruned) -> Pruned:
        return Pruned(
            self.versions + other.versions,
            self.artifact_bytes + other.artifact_bytes,
            self.curves + other.curves,
        )


def prune(app: Engine, analytics: Engine, portfolio: Portfolio) -> Pruned:
    """Let go of what a portfolio no longer keeps (``keep_versions``, ``curve_days``); pruning again changes nothing.

    A version that has served or was pinned keeps its artifact for good, so that a person can always go back to it.
    An artifact that lies in S3 is no longer referred to, and its file stays: nothing here deletes in S3, and a rule of
    the bucket cannot tell what serves from what does not. Models that the portfolio does not have any more are left as
    they are.
    """
    pruned = Pruned(0, 0, 0)
    for name, model in sorted(portfolio.models.items()):
        # a transaction for each: whoever publishes waits for one model at most
        with app.begin() as connection:
            parameters = {"portfolio": portfolio.name, "model": name, "keep_versions": model.keep_versions}
            emptied = connection.execute(_EMPTY, parameters).all()
        pruned += Pruned(len(emptied), sum(row.emptied_bytes for row in emptied), 0)
    with analytics.begin() as connection:
        old = {"portfolio": portfolio.name, "days": portfolio.curve_days}
        dropped = connection.execute(_DROP_CURVES, old).rowcount
    return pruned + Pruned(0, 0, dropped)
