"""What is kept of a training: the model for Spark, the artifact for everyone else, and what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training_job.evaluation import curves, thresholds

if TYPE_CHECKING:
    from training_job.evaluation import Evaluation
    from training_job.learners import LearnedModel
    from training_job.loading import Split
    from training_job.request import Request
    from training_job.session import Job


def save_model(job: Job, model: LearnedModel) -> None:
    """Save the Spark model and the artifact."""
    folder = job.begin_saving()
    folder.write_json("artifact.json", artifact(model, job.request), may_be_gzipped=True)
    folder.save_model(model.spark_model)


def save_measurements(job: Job, model: LearnedModel, train: Split, evaluations: list[Evaluation]) -> None:
    """Save metrics, curves, thresholds and profile.

    :param evaluations: on test, then on validation if that is a split of its own
    """
    folder = job.begin_saving()
    folder.write_json("curves.json", {"curves": curves(evaluations[0])})
    folder.write_json("thresholds.json", thresholds(evaluations[-1]))
    folder.write_json("profile.json", profile(train))
    folder.write_json("metrics.json", measurements(job, model, train, evaluations))


def artifact(model: LearnedModel, request: Request) -> dict[str, Any]:
    """The model without Spark; its feature i is index i + 1 of the LibSVM text."""
    training = request.training
    return {
        "kind": model.kind,
        "num_features": request.num_features,
        "feature_space": request.feature_space,
        "parameters": model.parameters,
        "threshold": request.threshold,
        "calibration": None,
        "label_names": label_names(request.label_mapping),
        "lineage": {
            **request.lineage,
            "training_id": training.training_id,
            "attempt": training.attempt,
            "data_date": training.data_date,
        },
    }


def label_names(label_mapping: dict[str, int]) -> dict[str, str]:
    """Class → the label as the data writes it; several labels of one class stand with a bar between them."""
    labels: dict[str, list[str]] = {"0": [], "1": []}
    for label, number in label_mapping.items():
        labels[str(number)].append(label)
    return {number: "|".join(sorted(of_class)) for number, of_class in labels.items()}


def measurements(
    job: Job, model: LearnedModel, train: Split, evaluations: list[Evaluation]
) -> dict[str, Any]:
    """What ``metrics.json`` holds."""
    by_split = {"train": {"rows": train.row_count, "base_rate": train.base_rate}}
    by_split.update({each.split: each.metrics for each in evaluations})
    return {
        "metrics": by_split,
        "threshold": job.request.threshold,
        "durations_seconds": job.durations_seconds,
        "iterations": model.iterations,
        "objective": model.objective,
        "warnings": list(model.warnings),
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
