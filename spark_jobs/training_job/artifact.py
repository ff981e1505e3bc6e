"""The artifact: all that scoring without Spark needs, as plain JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training_job.deciding import Decision
    from training_job.learned import LearnedModel
    from training_job.request import Request


def artifact(
    model: LearnedModel, decision: Decision, request: Request, parameters: dict[str, Any]
) -> dict[str, Any]:
    """What ``artifact.json`` holds; the model's feature i is index i + 1 of the LibSVM text.

    :param parameters: all that the scoring rule of the model's kind needs
    """
    training = request.training
    return {
        "kind": model.kind,
        "num_features": request.num_features,
        "feature_space": request.feature_space,
        "parameters": parameters,
        **decision.probabilities.document(),
        "threshold": decision.threshold,
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
