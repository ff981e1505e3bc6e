"""A model's settings and its listed inputs → ``request.json``, all that the job is told: docs/training-folder.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from trainyard.inputs import InputObject, fingerprint
from trainyard.portfolio import FixedThreshold, Model
from trainyard.training import Sha256, Training, TrainingId

FORMAT_VERSION = 2


@dataclass(frozen=True)
class Inputs:
    """The objects of each split; none where a split has none of its own: it is cut from train, or not there."""

    train: Sequence[InputObject]
    validation: Sequence[InputObject] | None
    test: Sequence[InputObject] | None


@dataclass(frozen=True)
class Lineage:
    """What a model came from, besides its inputs.

    :param overrides: what the run put over the portfolio's settings
    """

    code_sha256: Sha256
    portfolio_sha256: Sha256
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OldVersion:
    """A version that served, and where its training left it.

    :param folder: of the attempt in S3, ends in ``/``
    """

    version_id: int
    training_id: TrainingId
    attempt: int
    data_date: date
    folder: str


@dataclass(frozen=True)
class Comparables:
    """What is measured on the same test rows as the new model.

    :param champion: what serves, as of the data date; none for the first version of a feature space
    :param best_recent: the best version of the last 30 days; none where it is the champion
    :param serving: id of the version that serves at the launch, of whatever features and data date; the job does not
        need it, publishing looks whether it still serves
    """

    champion: OldVersion | None = None
    best_recent: OldVersion | None = None
    serving: int | None = None


NOTHING_COMPARABLE = Comparables()


def training_request(
    *,
    training: Training,
    attempt: int,
    model: Model,
    inputs: Inputs,
    lineage: Lineage,
    deadline: datetime,
    comparables: Comparables = NOTHING_COMPARABLE,
) -> bytes:
    """The bytes of ``request.json``: UTF-8 JSON with sorted keys.

    :param deadline: aware time after which the job ends itself
    """
    everything = [*inputs.train, *(inputs.validation or ()), *(inputs.test or ())]
    request: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "training": {
            "deployment": training.deployment,
            "portfolio": training.portfolio,
            "model": training.model,
            "data_date": training.data_date.isoformat(),
            "training_id": training.training_id,
            "attempt": attempt,
        },
        "inputs": _inputs(model, inputs),
        "num_features": model.num_features,
        "feature_space": model.feature_space,
        "label_mapping": dict(model.label_mapping),
        "group_key": model.group_key,
        "learner": {"name": model.learner.name, "params": model.learner.params.model_dump()},
        "imbalance": model.imbalance.model_dump(mode="json"),
        "calibration": model.calibration,
        "threshold": _threshold(model),
        "evaluation": {},
        "champion": _old_version(comparables.champion),
        "best_recent": _old_version(comparables.best_recent),
        "serving": None if comparables.serving is None else {"version_id": comparables.serving},
        "output": training.attempt_folder(attempt),
        "deadline": deadline.isoformat(),
        "lineage": {
            "code_sha256": lineage.code_sha256,
            "portfolio_sha256": lineage.portfolio_sha256,
            "overrides": dict(lineage.overrides),
            "input_fingerprint": fingerprint(everything),
            "dag_id": training.dag_id,
            "run_id": training.run_id,
        },
    }
    return json.dumps(request, sort_keys=True, indent=1, allow_nan=False).encode()


def _threshold(model: Model) -> dict[str, Any]:
    """A fixed value stands on the scale of what the model gives: a probability, else a margin."""
    threshold = model.threshold
    if not isinstance(threshold, FixedThreshold):
        return threshold.model_dump(mode="json")
    has_probabilities = model.learner.has_probabilities or model.calibration != "none"
    return {"rule": "fixed", "value": threshold.value if has_probabilities else threshold.margin}


def _old_version(version: OldVersion | None) -> dict[str, Any] | None:
    return None if version is None else {**asdict(version), "data_date": version.data_date.isoformat()}


def _inputs(model: Model, inputs: Inputs) -> dict[str, Any]:
    split = model.inputs.split
    return {
        "format": model.inputs.format,
        "train": _listed(inputs.train),
        "validation": _listed(inputs.validation),
        "test": _listed(inputs.test),
        "split": None if split is None else split.model_dump(mode="json"),
        "max_bad_lines": model.inputs.max_bad_lines,
        "negatives_kept": model.inputs.kept_rates,
    }


def _listed(objects: Sequence[InputObject] | None) -> list[dict[str, Any]] | None:
    return None if objects is None else [asdict(item) for item in objects]
