"""From a model's scores to its probabilities and its decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from training_job.failures import JobError
from training_job.probabilities import Probabilities

if TYPE_CHECKING:
    from training_job.learned import LearnedModel
    from training_job.request import Request


@dataclass(frozen=True)
class Decision:
    """How scores are read.

    :param threshold: on the scale of the raw score; a row is decided for where ``score >= threshold``
    """

    probabilities: Probabilities
    threshold: float


def decide(model: LearnedModel, request: Request) -> Decision:
    """The probabilities of the model's scores, and the threshold of the request's rule."""
    rule = request.threshold["rule"]
    if rule != "fixed" or request.calibration != "none":
        raise JobError("bad_request", "this version of the job knows the rule fixed and no calibration")
    probabilities = Probabilities(model.score_kind, model.odds_factor)
    value = request.threshold["value"]
    lowest = probabilities.lowest_score(value) if probabilities.known else value
    return Decision(probabilities, threshold=1.0 if lowest is None else lowest)
