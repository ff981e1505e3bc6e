"""Models and rows → how well they do on them, from one scoring of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from training_job.cross_fitting import with_halves
from training_job.influences import Measured, spread
from training_job.intervals import differences, intervals
from training_job.metrics import metrics
from training_job.ranking import Ranking, rank
from training_job.scored_rows import ScoredRows, gather
from training_job.scores import score_rows

if TYPE_CHECKING:
    from training_job.comparing import EarlierModel
    from training_job.deciding import Chosen
    from training_job.earlier_versions import EarlierVersion
    from training_job.learned import LearnedModel
    from training_job.loading import Split


@dataclass(frozen=True)
class ScoredSplit:
    """The scored rows of a split; to be released.

    :param rows: with the scores of the new model, then of the earlier ones
    :param row_count: whatever the rows weigh
    """

    name: str
    rows: ScoredRows
    row_count: int
    grouped: bool


@dataclass(frozen=True)
class Evaluation:
    """How a model does on one split.

    :param metrics: by name; a metric that is undefined on these rows is left out
    :param intervals: by metric; empty where none were asked for
    :param comparisons: by role, with the earlier versions on the very same rows
    """

    split: str
    ranking: Ranking
    metrics: dict[str, float]
    intervals: dict[str, dict[str, float]] = field(default_factory=dict)
    comparisons: dict[str, dict[str, Any]] = field(default_factory=dict)


def score(model: LearnedModel, split: Split, earlier: Sequence[EarlierModel] = ()) -> ScoredSplit:
    """Score the rows of a split once, by all models in one pass."""
    models = [(model.spark_model, model.score_kind)]
    models += [(each.spark_model, each.decision.probabilities.score_kind) for each in earlier]
    scored, columns = split.rows, [f"score_{number}" for number in range(len(models))]
    for column, (spark_model, score_kind) in zip(columns, models):
        # the last one leaves the features behind
        keep = column != columns[-1]
        scored = score_rows(spark_model, scored, score_kind=score_kind, column=column, keep_features=keep)
    rows = gather(
        scored,
        row_count=split.row_count,
        score_columns=columns,
        weight_column=split.weight_column,
        group_column=split.group_column,
    )
    return ScoredSplit(split.name, rows, split.row_count, grouped=split.group_column is not None)


def evaluate(scored: ScoredSplit, chosen: Chosen) -> Evaluation:
    """Measure the new model, and release the rows."""
    ranking = _rank(scored, chosen)
    scored.rows.release()
    return Evaluation(scored.name, ranking, metrics(ranking, chosen.decision, row_count=scored.row_count))


def evaluate_beside(scored: ScoredSplit, chosen: Chosen, earlier: Sequence[EarlierModel]) -> Evaluation:
    """Measure the new model, with intervals, and compare it with the earlier ones; release the rows."""
    halves = chosen.halves if scored.name == chosen.split else None
    models = [Measured(_rank(scored, chosen), chosen.decision, halves)]
    for number, each in enumerate(earlier, start=1):
        models.append(Measured(rank(scored.rows, each.decision, model=number), each.decision))
    products = spread(scored.rows, models)
    scored.rows.release()
    found = [metrics(each.ranking, each.decision, row_count=scored.row_count) for each in models]
    comparisons: dict[str, dict[str, Any]] = {}
    for number, each in enumerate(earlier, start=1):
        evidence = {"rows": scored.row_count, "groups": products.groups if scored.grouped else None}
        paired: dict[str, dict[str, Any]] = {
            name: {**difference, **evidence}
            for name, difference in differences(products, models, old=number).items()
        }
        paired["positive_rate"] = {"value": found[0]["positive_rate"] - found[number]["positive_rate"]}
        comparison = {**_identity(each.version), "metrics": found[number], "differences": paired}
        comparisons.update(dict.fromkeys(each.roles, comparison))
    return Evaluation(scored.name, models[0].ranking, found[0], intervals(products, models), comparisons)


def _rank(scored: ScoredSplit, chosen: Chosen) -> Ranking:
    ranking = rank(scored.rows, chosen.decision)
    return with_halves(ranking, scored.rows, chosen) if scored.name == chosen.split else ranking


def _identity(version: EarlierVersion) -> dict[str, Any]:
    return {
        "version_id": version.version_id,
        "training_id": version.training_id,
        "attempt": version.attempt,
        "data_date": version.data_date,
    }
