"""A ranking → metrics by name, each by its field's definition; docs/metrics.md lists them with their sources.

A metric that is undefined on the rows is left out: a test set without a class has no AUC, and 0 would be a lie.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from training_job.ranges import TOP_SHARES

if TYPE_CHECKING:
    from training_job.deciding import Decision
    from training_job.ranking import Ranking


def metrics(ranking: Ranking, decision: Decision, *, row_count: int) -> dict[str, float]:
    """The metrics of one model on one split.

    :param ranking: by the same decision
    :param row_count: how many rows there are, whatever they weigh
    """
    found: dict[str, float | None] = {
        "rows": row_count,
        "weighted_rows": ranking.whole.rows,
        "positives": ranking.whole.positives,
        "base_rate": _ratio(ranking.whole.positives, ranking.whole.rows),
        **_of_ranking(ranking),
        **_of_decision(ranking),
    }
    if decision.probabilities.known:
        found.update(_of_probabilities(ranking))
    return {name: value for name, value in found.items() if value is not None and math.isfinite(value)}


def _of_ranking(ranking: Ranking) -> dict[str, float | None]:
    positives = ranking.whole.positives
    found = {
        "auc": ranking.auc,
        "average_precision": _ratio(ranking.sums.precision, positives),
        "area_under_pr": _ratio(ranking.sums.pr_area, positives),
    }
    for share, top in zip(TOP_SHARES, ranking.sums.top):
        recall = _ratio(float(top), positives)
        found[f"recall_at_{share:.0%}".replace("%", "_percent")] = recall
        found[f"lift_at_{share:.0%}".replace("%", "_percent")] = None if recall is None else recall / share
    return found


def _of_decision(ranking: Ranking) -> dict[str, float | None]:
    whole = ranking.whole
    true_positives, false_positives = map(float, ranking.sums.decided)
    decided = true_positives + false_positives
    # what is left of a class can come out below 0 by rounding where weights are fractions
    false_negatives = max(whole.positives - true_positives, 0.0)
    true_negatives = max(whole.negatives - false_positives, 0.0)
    return {
        "true_positives": true_positives,
        "false_positives": false_positives,
        "true_negatives": true_negatives,
        "false_negatives": false_negatives,
        "positive_rate": _ratio(decided, whole.rows),
        "accuracy": _ratio(true_positives + true_negatives, whole.rows),
        "precision": _ratio(true_positives, decided),
        "recall": _ratio(true_positives, whole.positives),
        # without a positive it is 0 however well is decided
        "f1": _ratio(2 * true_positives, decided + whole.positives) if whole.positives else None,
    }


def _of_probabilities(ranking: Ranking) -> dict[str, float | None]:
    whole = ranking.whole
    logarithmic, squared, predicted = map(float, ranking.sums.losses)
    log_loss = _ratio(logarithmic, whole.rows)
    entropy = _entropy(whole.positives / whole.rows)
    mass, probabilities, positives = ranking.sums.bins.T
    return {
        "log_loss": log_loss,
        "normalized_log_loss": None if log_loss is None else _ratio(log_loss, entropy),
        "brier_score": _ratio(squared, whole.rows),
        "predicted_over_observed": _ratio(predicted, whole.positives),
        "expected_calibration_error": float(abs(probabilities - positives).sum() / mass.sum()),
    }


def _entropy(rate: float) -> float:
    """Of a coin of this rate, in nats."""
    return -sum(part * math.log(part) for part in (rate, 1 - rate) if part > 0)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
