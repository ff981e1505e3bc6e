"""Raw score → probability: first a correction of the odds, then a calibration.

A learner's score ranks rows; what it says about chances is off where the learner saw fewer negatives than there are, or
weighed the classes, and a margin says nothing about them at all. Both steps never put a higher score below a lower one.

This text stands in ``training_job`` and in ``trainyard.scoring``, which share no code: a test holds the two equal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

SCORE_KINDS = ("probability", "margin")
# log-odds are cut off at those of this probability: a forest's scores of 0 and 1 have none that are finite
SMALLEST_PROBABILITY = 1e-9


@dataclass(frozen=True)
class Platt:
    """1 / (1 + exp(a x + b)), where x is the margin, or the log-odds of a score that is a probability.

    J. Platt, Probabilistic outputs for support vector machines, in Advances in Large Margin Classifiers, 1999; ``a`` is
    his A and never positive.
    """

    a: float
    b: float

    def of(self, values: Any) -> Any:
        return sigmoid(-(self.a * values + self.b))

    def document(self) -> dict[str, Any]:
        return {"kind": "platt", "a": self.a, "b": self.b}


@dataclass(frozen=True)
class Isotonic:
    """Straight lines between the points (scores, probabilities), level outside them; both ascend.

    ``scores`` are on the scale of what is calibrated: corrected scores, or margins.
    """

    scores: Any
    probabilities: Any

    def of(self, values: Any) -> Any:
        return np.interp(values, self.scores, self.probabilities)

    def document(self) -> dict[str, Any]:
        return {
            "kind": "isotonic",
            "scores": np.asarray(self.scores).tolist(),
            "probabilities": np.asarray(self.probabilities).tolist(),
        }


@dataclass(frozen=True)
class Probabilities:
    """How raw scores become probabilities.

    :param score_kind: one of SCORE_KINDS
    :param odds_factor: what the odds of a score are multiplied by; None leaves them
    """

    score_kind: str
    odds_factor: float | None = None
    calibration: Platt | Isotonic | None = None

    @property
    def known(self) -> bool:
        """Whether there are any: a margin that nothing calibrates has none."""
        return self.score_kind == "probability" or self.calibration is not None

    def corrected(self, scores: Any) -> Any:
        """The scores with the odds corrected; array in, array of the same shape out."""
        scores = np.asarray(scores, dtype=np.float64)
        if self.odds_factor is None:
            return scores
        odds = scores * self.odds_factor
        return odds / (1.0 - scores + odds)

    def calibrated_from(self, scores: Any) -> Any:
        """What a calibration by Platt's rule takes: margins, or log-odds of the corrected scores."""
        corrected = self.corrected(scores)
        return corrected if self.score_kind == "margin" else log_odds(corrected)

    def of(self, scores: Any) -> Any:
        """The probabilities of raw scores; array in, array of the same shape out.

        :raises ValueError: there are none
        """
        if not self.known:
            raise ValueError("a margin has no probability without a calibration")
        if isinstance(self.calibration, Platt):
            return self.calibration.of(self.calibrated_from(scores))
        corrected = self.corrected(scores)
        return corrected if self.calibration is None else self.calibration.of(corrected)

    def highest(self) -> float:
        """The highest probability that any score has."""
        return float(self.of(np.array([self._range()[1]]))[0])

    def lowest_score(self, probability: float) -> float | None:
        """The smallest score whose probability is at least the given one; None where no score's is."""
        low, high = self._range()
        if self._reaches(low, probability):
            return low
        if not self._reaches(high, probability):
            return None
        # halving the doubles between them, not their difference: 64 steps come down to two neighbours
        below, above = _place(low), _place(high)
        while above - below > 1:
            middle = (below + above) // 2
            if self._reaches(_double(middle), probability):
                above = middle
            else:
                below = middle
        return _double(above)

    def _range(self) -> tuple[float, float]:
        return (0.0, 1.0) if self.score_kind == "probability" else (-_LARGEST, _LARGEST)

    def _reaches(self, score: float, probability: float) -> bool:
        return float(self.of(np.array([score]))[0]) >= probability

    def document(self) -> dict[str, Any]:
        """The fields ``score_kind``, ``correction`` and ``calibration`` of an artifact."""
        return {
            "score_kind": self.score_kind,
            "correction": None if self.odds_factor is None else {"odds_factor": self.odds_factor},
            "calibration": None if self.calibration is None else self.calibration.document(),
        }


def probabilities_of(artifact: dict[str, Any]) -> Probabilities:
    """What an artifact says about probabilities.

    :raises ValueError: it says nothing that this code knows; the text names field and value
    """
    kind, correction = artifact.get("score_kind"), artifact.get("correction")
    if kind not in SCORE_KINDS:
        raise ValueError(f"score_kind is {kind!r}; expected {' or '.join(SCORE_KINDS)}")
    factor = None if correction is None else float(correction["odds_factor"])
    if factor is not None and not (math.isfinite(factor) and factor > 0):
        raise ValueError(f"correction.odds_factor is {factor!r}; expected a number above 0")
    return Probabilities(kind, factor, _calibration(artifact.get("calibration")))


def _calibration(document: dict[str, Any] | None) -> Platt | Isotonic | None:
    if document is None:
        return None
    kind = document.get("kind")
    if kind == "platt":
        return Platt(a=float(document["a"]), b=float(document["b"]))
    if kind == "isotonic":
        scores = np.asarray(document["scores"], dtype=np.float64)
        probabilities = np.asarray(document["probabilities"], dtype=np.float64)
        if len(scores) == 0 or len(scores) != len(probabilities) or (np.diff(scores) <= 0).any():
            raise ValueError("calibration.scores must ascend, and be as many as calibration.probabilities")
        return Isotonic(scores, probabilities)
    raise ValueError(f"calibration.kind is {kind!r}; expected platt or isotonic")


def sigmoid(values: Any) -> Any:
    """1 / (1 + exp(-values)) without overflow, exact to the last digits at both ends."""
    values = np.asarray(values, dtype=np.float64)
    shrunk = np.exp(-np.abs(values))
    return np.where(values >= 0, 1.0, shrunk) / (1.0 + shrunk)


def log_odds(probabilities: Any) -> Any:
    """log(p / (1 - p)), cut off where p is closer to 0 or 1 than SMALLEST_PROBABILITY."""
    within = np.clip(probabilities, SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)
    return np.log(within) - np.log1p(-within)


# beyond any margin; not the largest double, so that a slope times it is still a number
_LARGEST = 1e100


def _place(number: float) -> int:
    """Where a finite double stands in the order of all doubles."""
    bits = int(np.float64(abs(number)).view(np.int64))
    return -bits if number < 0 else bits


def _double(place: int) -> float:
    number = float(np.int64(abs(place)).view(np.float64))
    return -number if place < 0 else number
