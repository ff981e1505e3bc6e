"""What comes out of learning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training_job.scores import score_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class LearnedModel:
    """A fitted model and how the fit went.

    :param spark_model: scores a DataFrame of ``features`` and can be saved
    :param kind: names the scoring rule in the artifact
    :param score_kind: ``probability`` or ``margin``
    :param odds_factor: what the odds of its scores are to be multiplied by, since it learned from other odds; None:
        from the true ones
    :param parameters: URI of the saved model's folder → all that the scoring rule needs; plain JSON
    :param iterations: None where the learner does not iterate towards an optimum
    :param objective: value of the training objective where the learner stopped
    """

    spark_model: Any
    kind: str
    score_kind: str
    odds_factor: float | None
    parameters: Callable[[str], dict[str, Any]]
    iterations: int | None
    objective: float | None
    warnings: tuple[dict[str, Any], ...]

    def score(self, rows: DataFrame) -> DataFrame:
        """``rows`` with its features replaced by ``score``."""
        return score_rows(self.spark_model, rows, score_kind=self.score_kind)
