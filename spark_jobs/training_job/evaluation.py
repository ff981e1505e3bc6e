"""Model and rows → how well it does on them, from one scoring of the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training_job.metrics import metrics
from training_job.ranking import Ranking, rank
from training_job.scored_rows import ScoredRows, gather

if TYPE_CHECKING:
    from training_job.deciding import Decision
    from training_job.learned import LearnedModel
    from training_job.loading import Split

MAX_POINTS = 10_000


@dataclass(frozen=True)
class Evaluation:
    """How a model does on one split.

    :param metrics: by name; a metric that is undefined on these rows is left out
    """

    split: str
    ranking: Ranking
    metrics: dict[str, float]


def score(model: LearnedModel, split: Split) -> ScoredRows:
    """Score the rows of a split, once; to be released."""
    return gather(
        model.score(split.rows),
        row_count=split.row_count,
        score_columns=["score"],
        weight_column=split.weight_column,
        group_column=split.group_column,
    )


def evaluate(model: LearnedModel, split: Split, decision: Decision) -> Evaluation:
    """Score the split and measure."""
    scored = score(model, split)
    ranking = rank(scored, decision)
    scored.release()
    return Evaluation(split.name, ranking, metrics(ranking, decision, row_count=split.row_count))


def thresholds(evaluation: Evaluation) -> dict[str, Any]:
    """What ``thresholds.json`` holds: the counts at each point of the ranking."""
    ranking = evaluation.ranking
    kept, max_error_rows = ranking.thinned(MAX_POINTS)
    return {
        "split": evaluation.split,
        "exact": max_error_rows == 0,
        "max_error_rows": max_error_rows,
        "scores": ranking.scores[kept].tolist(),
        "true_positives": ranking.true_positives[kept].tolist(),
        "false_positives": ranking.false_positives[kept].tolist(),
        "positives": ranking.whole.positives,
        "negatives": ranking.whole.negatives,
    }
