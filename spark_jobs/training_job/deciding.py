"""From a model's scores to its probabilities and its decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    probabilities = Probabilities(model.score_kind, model.odds_factor)
    return Decision(probabilities, threshold=request.threshold)
