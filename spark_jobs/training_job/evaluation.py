"""Model and test rows → metrics, curves and thresholds, from one scoring of the rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training_job.ranking import Ranking, rank

if TYPE_CHECKING:
    from training_job.deciding import Decision
    from training_job.learned import LearnedModel
    from training_job.loading import Split

CURVE_POINTS = 200
CALIBRATION_BINS = 20


@dataclass(frozen=True)
class Evaluation:
    """How a model does on one split.

    :param metrics: by name; a metric that is undefined on these rows is left out
    """

    split: str
    ranking: Ranking
    metrics: dict[str, float]


def evaluate(model: LearnedModel, split: Split, decision: Decision) -> Evaluation:
    """Score the split once and measure."""
    scored = model.score(split.rows)
    ranking = rank(scored, row_count=split.row_count, threshold=decision.threshold)
    measured = metrics(ranking)
    if not decision.probabilities.known:
        del measured["log_loss"]
    return Evaluation(split=split.name, ranking=ranking, metrics=measured)


def metrics(ranking: Ranking) -> dict[str, float]:
    """The metrics at the decision threshold, and those over all thresholds."""
    positives, negatives = ranking.total.positives, ranking.total.negatives
    rows = positives + negatives
    true_positives, false_positives = ranking.at_threshold
    found: dict[str, float] = {
        "rows": rows,
        "base_rate": positives / rows,
        "accuracy": (true_positives + negatives - false_positives) / rows,
        "recall": true_positives / positives,
        "f1": 2 * true_positives / (positives + true_positives + false_positives),
        "auc": ranking.roc_area / (positives * negatives),
        "area_under_pr": ranking.pr_area / positives,
        "log_loss": ranking.log_loss / rows,
        "true_positives": true_positives,
        "false_positives": false_positives,
        "true_negatives": negatives - false_positives,
        "false_negatives": positives - true_positives,
    }
    if true_positives + false_positives:
        found["precision"] = true_positives / (true_positives + false_positives)
    return {name: value for name, value in found.items() if math.isfinite(value)}


def curves(evaluation: Evaluation) -> dict[str, Any]:
    """What ``curves.json`` holds: ROC, precision-recall and calibration, at most 200 points each."""
    ranking = evaluation.ranking
    true_positives = np.concatenate([[0], ranking.true_positives])
    false_positives = np.concatenate([[0], ranking.false_positives])
    recall = true_positives / ranking.total.positives
    false_positive_rate = false_positives / ranking.total.negatives
    roc = _evenly_along(recall + false_positive_rate, CURVE_POINTS)
    precision = ranking.true_positives / (ranking.true_positives + ranking.false_positives)
    by_recall = _evenly_along(recall[1:], CURVE_POINTS)
    mean_score, positive_rate = _calibration(ranking)
    return {
        "roc": _curve(
            evaluation, false_positive_rate=false_positive_rate[roc], true_positive_rate=recall[roc]
        ),
        "precision_recall": _curve(evaluation, recall=recall[1:][by_recall], precision=precision[by_recall]),
        "calibration": _curve(evaluation, mean_score=mean_score, positive_rate=positive_rate),
    }


def thresholds(evaluation: Evaluation) -> dict[str, Any]:
    """What ``thresholds.json`` holds: the counts at each point of the ranking."""
    ranking = evaluation.ranking
    return {
        "split": evaluation.split,
        "exact": ranking.max_error_rows == 0,
        "max_error_rows": ranking.max_error_rows,
        "scores": ranking.scores.tolist(),
        "true_positives": ranking.true_positives.tolist(),
        "false_positives": ranking.false_positives.tolist(),
        "positives": ranking.total.positives,
        "negatives": ranking.total.negatives,
    }


def _curve(evaluation: Evaluation, **axes: Any) -> dict[str, Any]:
    (x_name, x), (y_name, y) = axes.items()
    return {"split": evaluation.split, "x_name": x_name, "y_name": y_name, "x": x.tolist(), "y": y.tolist()}


def _evenly_along(position: Any, most: int) -> Any:
    """Indices of at most ``most`` of the ascending positions, about evenly far apart, with the first and the last."""
    if len(position) <= most:
        return np.arange(len(position))
    wanted = np.linspace(position[0], position[-1], most)
    return np.unique(np.append(np.searchsorted(position, wanted[:-1]), len(position) - 1))


def _calibration(ranking: Ranking) -> tuple[Any, Any]:
    """Mean score and share of positives of bins of about equal row counts, by ascending score."""
    rows = ranking.true_positives + ranking.false_positives
    ends = np.unique(np.searchsorted(rows, np.linspace(0, rows[-1], CALIBRATION_BINS + 1)[1:]))
    rows_in_bin = np.diff(rows[ends], prepend=0)
    mean_score = np.diff(ranking.score_sums[ends], prepend=0) / rows_in_bin
    positive_rate = np.diff(ranking.true_positives[ends], prepend=0) / rows_in_bin
    return mean_score[::-1], positive_rate[::-1]
