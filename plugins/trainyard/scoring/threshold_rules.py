"""A business rule and the outcomes at every score → the threshold, and what it comes to.

A candidate is a distinct score: the rows at or above it are decided for. The threshold lies between the candidate and
the next lower score, and well below the lowest one, so that a score which comes out a little different elsewhere is
still decided the same way.

This text stands in ``training_job`` and in ``trainyard.scoring``, which share no code: a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainyard.scoring.probabilities import Probabilities


@dataclass(frozen=True)
class Outcomes:
    """What deciding for the rows at or above a score comes to; arrays over candidates, scores descending.

    Rows count by their weight.

    :param below: the next lower score of any row; NaN where there is none
    :param true_positives: positives at or above the score; ``false_positives``: negatives
    :param max_error_rows: by how much a count between two candidates can be off; 0 where every score is a candidate
    """

    scores: Any
    below: Any
    true_positives: Any
    false_positives: Any
    positives: float
    negatives: float
    max_error_rows: float = 0.0

    @property
    def precision(self) -> Any:
        return self.true_positives / (self.true_positives + self.false_positives)

    @property
    def recall(self) -> Any:
        """0 without positives: nothing is found of nothing."""
        return self.true_positives / self.positives if self.positives else np.zeros(len(self.scores))

    @property
    def positive_rate(self) -> Any:
        return (self.true_positives + self.false_positives) / (self.positives + self.negatives)


@dataclass(frozen=True)
class Best:
    """What a rule picks among the candidates.

    :param place: of the candidate
    :param failing: why nothing satisfies the rule, and what was possible instead; None where it is satisfied
    """

    place: int
    failing: str | None = None


@dataclass(frozen=True)
class Choice:
    """A chosen threshold.

    :param feasible: whether it satisfies the rule; if not, it is the best that was possible
    :param sentence: what is not satisfied, for a person
    :param achieved: counts and rates at the threshold, and what the rule is about; an undefined one is absent
    """

    threshold: float
    feasible: bool
    sentence: str | None
    achieved: dict[str, float]


def choose(rule: dict[str, Any], outcomes: Outcomes) -> Choice:
    """The threshold of a rule other than ``fixed``.

    :param rule: ``rule``, a key of RULES, and its parameters
    :raises KeyError: no such rule, or a parameter is missing
    """
    best = RULES[rule["rule"]](rule, outcomes)
    score, below = float(outcomes.scores[best.place]), float(outcomes.below[best.place])
    is_lowest = best.place == len(outcomes.scores) - 1 and np.isnan(below)
    return Choice(
        threshold=below_lowest(score) if is_lowest else between(below, score),
        feasible=best.failing is None,
        sentence=best.failing,
        achieved=_achieved(rule, outcomes, best.place),
    )


def fixed(value: float, probabilities: Probabilities, outcomes: Outcomes) -> Choice:
    """The threshold of the rule ``fixed``: the smallest score whose probability reaches the value.

    :param value: a probability, or the margin itself where scores have no probabilities
    """
    if not probabilities.known:
        return at_threshold(value, outcomes)
    lowest = probabilities.lowest_score(value)
    if lowest is not None:
        return at_threshold(lowest, outcomes)
    highest = probabilities.highest()
    reached = probabilities.lowest_score(highest)
    failing = f"no score has a probability of {value:g}; the highest is {highest:.6g}"
    return at_threshold(float(outcomes.scores[0]) if reached is None else reached, outcomes, failing=failing)


def at_threshold(threshold: float, outcomes: Outcomes, *, failing: str | None = None) -> Choice:
    """A threshold that is given, and what it comes to as far as the candidates tell."""
    decided = int(np.searchsorted(-outcomes.scores, -threshold, side="right"))
    achieved = _achieved({}, outcomes, decided - 1)
    if outcomes.max_error_rows and not (decided and outcomes.scores[decided - 1] == threshold):
        achieved["max_error_rows"] = outcomes.max_error_rows
    return Choice(threshold=threshold, feasible=failing is None, sentence=failing, achieved=achieved)


def between(below: float, score: float) -> float:
    """The middle of two neighbouring scores, the higher one where there is no lower or no double in between."""
    middle = below + (score - below) / 2
    # a NaN fails the comparison
    return middle if below < middle <= score else score


def below_lowest(score: float) -> float:
    """A threshold for all rows: half the lowest score below it, which stays a probability if the score is one."""
    return score - abs(score) / 2


def _best_f_beta(rule: dict[str, Any], outcomes: Outcomes) -> Best:
    """C. J. van Rijsbergen, Information Retrieval, 1979: recall counts beta times as much as precision."""
    place = int(np.argmax(_f_beta(rule["beta"], outcomes)))
    if not outcomes.true_positives[place]:
        return Best(place, "no row is positive")
    return Best(place)


def _highest_recall(rule: dict[str, Any], outcomes: Outcomes) -> Best:
    precision, least = outcomes.precision, rule["min_precision"]
    places = np.flatnonzero(precision >= least)
    if not len(places):
        place = int(np.argmax(precision))
        return Best(
            place, f"no threshold has a precision of {least:g}; the highest is {precision[place]:.6g}"
        )
    # of equal recalls, the first has the fewest false positives
    return Best(int(places[np.argmax(outcomes.true_positives[places])]))


def _highest_precision(rule: dict[str, Any], outcomes: Outcomes) -> Best:
    recall, least = outcomes.recall, rule["min_recall"]
    places = np.flatnonzero(recall >= least)
    if not len(places):
        place = int(np.argmax(recall))
        return Best(place, f"no threshold has a recall of {least:g}; the highest is {recall[place]:.6g}")
    precision = outcomes.precision[places]
    # of equal precisions, the last finds the most
    return Best(int(places[len(places) - 1 - np.argmax(precision[::-1])]))


def _limited_positive_rate(rule: dict[str, Any], outcomes: Outcomes) -> Best:
    rate, most = outcomes.positive_rate, rule["max_positive_rate"]
    places = np.flatnonzero(rate <= most)
    if not len(places):
        return Best(0, f"no threshold decides for at most {most:g} of the rows; the fewest are {rate[0]:.6g}")
    return Best(int(places[-1]))


def _best_profit(rule: dict[str, Any], outcomes: Outcomes) -> Best:
    profit = _profit(rule, outcomes)
    place = int(np.argmax(profit))
    nobody = _profit_of_nobody(rule, outcomes)
    if profit[place] < nobody:
        return Best(
            place,
            f"no threshold earns as much as deciding for no row, {nobody:.6g} a row; "
            f"the most is {profit[place]:.6g}",
        )
    return Best(place)


# rule → its choice; docs/learners.md has them all with their parameters
RULES: dict[str, Callable[[dict[str, Any], Outcomes], Best]] = {
    "best_f_beta": _best_f_beta,
    "highest_recall": _highest_recall,
    "highest_precision": _highest_precision,
    "limited_positive_rate": _limited_positive_rate,
    "best_profit": _best_profit,
}


def _f_beta(beta: float, outcomes: Outcomes) -> Any:
    weight = beta * beta
    false_negatives = outcomes.positives - outcomes.true_positives
    found = (1 + weight) * outcomes.true_positives
    return found / (found + weight * false_negatives + outcomes.false_positives)


def _profit(rule: dict[str, Any], outcomes: Outcomes) -> Any:
    """Expected, a row."""
    total = (
        rule["true_positive"] * outcomes.true_positives
        + rule["false_positive"] * outcomes.false_positives
        + rule["false_negative"] * (outcomes.positives - outcomes.true_positives)
        + rule["true_negative"] * (outcomes.negatives - outcomes.false_positives)
    )
    return total / (outcomes.positives + outcomes.negatives)


def _profit_of_nobody(rule: dict[str, Any], outcomes: Outcomes) -> float:
    total = rule["false_negative"] * outcomes.positives + rule["true_negative"] * outcomes.negatives
    return float(total / (outcomes.positives + outcomes.negatives))


def _achieved(rule: dict[str, Any], outcomes: Outcomes, place: int) -> dict[str, float]:
    """:param place: of the candidate; -1 where no row is decided for"""
    true_positives = float(outcomes.true_positives[place]) if place >= 0 else 0.0
    false_positives = float(outcomes.false_positives[place]) if place >= 0 else 0.0
    decided = true_positives + false_positives
    achieved = {
        "true_positives": true_positives,
        "false_positives": false_positives,
        "true_negatives": max(outcomes.negatives - false_positives, 0.0),
        "false_negatives": max(outcomes.positives - true_positives, 0.0),
        "positive_rate": decided / (outcomes.positives + outcomes.negatives),
    }
    if decided:
        achieved["precision"] = true_positives / decided
    if outcomes.positives:
        achieved["recall"] = true_positives / outcomes.positives
    if rule.get("rule") == "best_f_beta":
        achieved["f_beta"] = float(_f_beta(rule["beta"], outcomes)[place])
    if rule.get("rule") == "best_profit":
        achieved["profit_per_row"] = float(_profit(rule, outcomes)[place])
    return achieved
