"""What a learner is shown of the train split where positives are rare, and how far that is from the true odds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's own documentation has it

from training_job.failures import JobError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from training_job.choices import Imbalance
    from training_job.loading import Split

SEED = 17
WEIGHT = "learning_weight"


@dataclass(frozen=True)
class Shown:
    """
    :param rows: DataFrame of label, features and, where ``weight_column`` names one, weight
    :param odds_factor: what the odds of a score learned from them are to be multiplied by; None: they are the true ones
    """

    rows: DataFrame
    weight_column: Optional[str]
    odds_factor: Optional[float]


def shown_to_learner(split: Split, imbalance: Imbalance) -> Shown:
    """The rows to learn from, weights of rows times weights of classes.

    Negatives that were left out before weigh more already, so that nothing is to be corrected for them. Which ones are
    left out here depends on the seed and on where a row stands, and is the same at every pass and every retry.

    :raises JobError: ``one_class`` where no negative is left
    """
    if imbalance.negatives_kept == 1 and imbalance.class_weights is None:
        return Shown(split.rows, split.weight_column, None)
    rows = split.rows
    if imbalance.negatives_kept < 1:
        rows = rows.where((F.col("label") == 1) | (F.rand(SEED) < imbalance.negatives_kept))
    own = F.lit(1.0) if split.weight_column is None else F.col(split.weight_column)
    negatives, positives = _masses(rows, own)
    if not negatives:
        raise JobError(
            "one_class",
            f"of the negatives of train, none is left at negatives_kept {imbalance.negatives_kept:g}; keep more",
        )
    if imbalance.class_weights is None:
        return Shown(rows, split.weight_column, imbalance.negatives_kept)
    weights = _class_weights(imbalance.class_weights, negatives, positives)
    of_class = F.when(F.col("label") == 1, weights[1]).otherwise(weights[0])
    factor = imbalance.negatives_kept * weights[0] / weights[1]
    return Shown(rows.withColumn(WEIGHT, own * of_class), WEIGHT, factor)


def _class_weights(wanted: Any, negatives: float, positives: float) -> tuple[float, float]:
    """``balanced`` as scikit-learn has it: rows over twice the rows of the class."""
    if wanted == "balanced":
        rows = negatives + positives
        return rows / (2 * negatives), rows / (2 * positives)
    return float(wanted[0]), float(wanted[1])


def _masses(rows: DataFrame, weight: Any) -> tuple[float, float]:
    """Weight of the negatives and of the positives."""
    of_negatives = F.sum(F.when(F.col("label") == 0, weight))
    of_positives = F.sum(F.when(F.col("label") == 1, weight))
    found = rows.agg(of_negatives.alias("negatives"), of_positives.alias("positives")).first()
    return float(found["negatives"] or 0), float(found["positives"] or 0)
