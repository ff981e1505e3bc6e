"""From a model's scores to its probabilities and its decisions, both chosen on the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from training_job.cross_fitting import cross_fitted
from training_job.probabilities import Probabilities
from training_job.ranking import rank
from training_job.threshold_rules import Choice, Outcomes, choose, fixed
from training_job.warning_codes import warning

if TYPE_CHECKING:
    from training_job.evaluation import ScoredSplit
    from training_job.learned import LearnedModel
    from training_job.ranking import Ranking
    from training_job.request import Request

MAX_POINTS = 10_000


@dataclass(frozen=True)
class Decision:
    """How scores are read.

    :param threshold: on the scale of the raw score; a row is decided for where ``score >= threshold``
    """

    probabilities: Probabilities
    threshold: float


@dataclass(frozen=True)
class Chosen:
    """A decision, and what it was chosen by and on.

    :param halves: for the rows of either half of the split, probabilities that were fitted on the other half; None
        where nothing was fitted
    :param rule: ``rule`` and its parameters
    :param outcomes: at every score that may become a point of ``thresholds.json``
    """

    decision: Decision
    split: str
    halves: Optional[tuple[Probabilities, Probabilities]]
    rule: dict[str, Any]
    choice: Choice
    outcomes: Outcomes

    def report(self) -> dict[str, Any]:
        """What ``metrics.json`` says about the rule."""
        return {
            "rule": self.rule["rule"],
            "parameters": {name: value for name, value in self.rule.items() if name != "rule"},
            "split": self.split,
            "feasible": self.choice.feasible,
            "sentence": self.choice.sentence,
            "achieved": self.choice.achieved,
        }

    def warnings(self) -> tuple[dict[str, Any], ...]:
        """``threshold_infeasible``, where it is."""
        if self.choice.feasible:
            return ()
        sentence = f"The rule {self.rule['rule']} cannot be satisfied: {self.choice.sentence}."
        return (warning("threshold_infeasible", sentence, split=self.split),)

    def thresholds(self) -> dict[str, Any]:
        """What ``thresholds.json`` holds: all that choosing by another rule needs."""
        outcomes = self.outcomes
        return {
            "split": self.split,
            **self.decision.probabilities.document(),
            "exact": outcomes.max_error_rows == 0,
            "max_error_rows": outcomes.max_error_rows,
            "scores": outcomes.scores.tolist(),
            "below": [None if np.isnan(score) else score for score in outcomes.below.tolist()],
            "true_positives": outcomes.true_positives.tolist(),
            "false_positives": outcomes.false_positives.tolist(),
            "positives": outcomes.positives,
            "negatives": outcomes.negatives,
        }


def decide(model: LearnedModel, scored: ScoredSplit, request: Request) -> Chosen:
    """Calibrate on the split, and choose the threshold of the request's rule on it.

    :param scored: validation where there is one, else test, on which nothing but ``fixed`` is asked for
    """
    probabilities, halves = Probabilities(model.score_kind, model.odds_factor), None
    if request.calibration != "none":
        probabilities, halves = cross_fitted(scored.rows, probabilities, kind=request.calibration)
    ranking = rank(scored.rows)
    # every point that there is, to choose; fewer to keep
    choice = _choice(request.threshold, probabilities, outcomes_of(ranking, most=len(ranking.scores)))
    return Chosen(
        decision=Decision(probabilities, threshold=choice.threshold),
        split=scored.name,
        halves=halves,
        rule=request.threshold,
        choice=choice,
        outcomes=outcomes_of(ranking, most=MAX_POINTS),
    )


def outcomes_of(ranking: Ranking, *, most: int) -> Outcomes:
    """The outcomes at no more than ``most`` points of the ranking."""
    kept, max_error_rows = ranking.thinned(most)
    return Outcomes(
        scores=ranking.scores[kept],
        below=ranking.below[kept],
        true_positives=ranking.true_positives[kept],
        false_positives=ranking.false_positives[kept],
        positives=ranking.whole.positives,
        negatives=ranking.whole.negatives,
        max_error_rows=max_error_rows,
    )


def _choice(rule: dict[str, Any], probabilities: Probabilities, outcomes: Outcomes) -> Choice:
    return (
        fixed(rule["value"], probabilities, outcomes) if rule["rule"] == "fixed" else choose(rule, outcomes)
    )
