"""Model and rows → how well it does on them, from one scoring of the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from training_job.cross_fitting import with_halves
from training_job.metrics import metrics
from training_job.ranking import Ranking, rank
from training_job.scored_rows import ScoredRows, gather

if TYPE_CHECKING:
    from training_job.deciding import Chosen
    from training_job.learned import LearnedModel
    from training_job.loading import Split


@dataclass(frozen=True)
class ScoredSplit:
    """The scored rows of a split; to be released.

    :param row_count: whatever the rows weigh
    """

    name: str
    rows: ScoredRows
    row_count: int


@dataclass(frozen=True)
class Evaluation:
    """How a model does on one split.

    :param metrics: by name; a metric that is undefined on these rows is left out
    """

    split: str
    ranking: Ranking
    metrics: dict[str, float]


def score(model: LearnedModel, split: Split) -> ScoredSplit:
    """Score the rows of a split, once."""
    rows = gather(
        model.score(split.rows),
        row_count=split.row_count,
        score_columns=["score"],
        weight_column=split.weight_column,
        group_column=split.group_column,
    )
    return ScoredSplit(split.name, rows, split.row_count)


def evaluate(scored: ScoredSplit, chosen: Chosen) -> Evaluation:
    """Measure, and release the rows."""
    decision = chosen.decision
    ranking = rank(scored.rows, decision)
    if scored.name == chosen.split:
        ranking = with_halves(ranking, scored.rows, chosen)
    scored.rows.release()
    return Evaluation(scored.name, ranking, metrics(ranking, decision, row_count=scored.row_count))
