"""What is kept of a training: the model for Spark, the artifact for everyone else, and what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training_job.artifact import artifact
from training_job.curves import curves

if TYPE_CHECKING:
    from training_job.deciding import Chosen, Decision
    from training_job.evaluation import Evaluation
    from training_job.learned import LearnedModel
    from training_job.loading import Split
    from training_job.session import Job


def save_model(job: Job, model: LearnedModel, decision: Decision) -> None:
    """Save the Spark model and the artifact."""
    folder = job.begin_saving()
    parameters = model.parameters(folder.save_model(model.spark_model))
    written = artifact(model, decision, job.request, parameters)
    folder.write_json("artifact.json", written, may_be_gzipped=True)


def save_measurements(
    job: Job, model: LearnedModel, chosen: Chosen, train: Split, evaluations: list[Evaluation]
) -> None:
    """Save metrics, curves, thresholds and profile.

    :param evaluations: on test, then on validation if that is a split of its own
    """
    folder = job.begin_saving()
    folder.write_json("curves.json", {"curves": curves(evaluations[0].ranking, split=evaluations[0].split)})
    folder.write_json("thresholds.json", chosen.thresholds())
    folder.write_json("profile.json", profile(train))
    folder.write_json("metrics.json", measurements(job, model, chosen, train, evaluations))


def measurements(
    job: Job, model: LearnedModel, chosen: Chosen, train: Split, evaluations: list[Evaluation]
) -> dict[str, Any]:
    """What ``metrics.json`` holds."""
    by_split = {"train": {"rows": train.row_count, "base_rate": train.base_rate}}
    by_split.update({each.split: each.metrics for each in evaluations})
    return {
        "metrics": by_split,
        "threshold": chosen.decision.threshold,
        "threshold_rule": chosen.report(),
        "durations_seconds": job.durations_seconds,
        "iterations": model.iterations,
        "objective": model.objective,
        "warnings": [*model.warnings, *chosen.warnings()],
        "champion": None,
    }


def profile(train: Split) -> dict[str, Any]:
    """What ``profile.json`` holds, for the features that any row has; indices from 0."""
    features = train.profile
    present = np.flatnonzero(features.non_zeros)
    return {
        "rows": train.row_count,
        "features": {
            "indices": present.tolist(),
            "count": features.non_zeros[present].astype(np.int64).tolist(),
            "sum": features.sums[present].tolist(),
            "sum_of_squares": features.sums_of_squares[present].tolist(),
        },
    }
