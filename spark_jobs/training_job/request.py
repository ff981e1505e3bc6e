"""``request.json`` as frozen values: in its bytes, out a Request, or a ``bad_request`` failure that names the field."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from training_job.choices import (
    Imbalance,
    LearnerChoice,
    parse_calibration,
    parse_imbalance,
    parse_learner,
    parse_threshold,
)
from training_job.earlier_versions import EarlierVersion, parse_earlier_versions
from training_job.failures import JobError
from training_job.fields import FORMAT_VERSION, Fields
from training_job.inputs import Inputs, parse_inputs

# the token that SVM-rank writes between a row's label and its features
LIBSVM_GROUP_KEY = "qid"
RESERVED_COLUMNS = ("label", "features", "indices", "values", "weight")


@dataclass(frozen=True)
class TrainingIdentity:
    """Whose training this is; goes unchanged into every file that names the training."""

    deployment: str
    portfolio: str
    model: str
    data_date: str
    training_id: str
    attempt: int


@dataclass(frozen=True)
class Request:
    """One training, as asked for.

    :param label_mapping: label as the data writes it → class 0 or 1
    :param group_key: what says which rows belong together: a column of Parquet, ``qid`` for LibSVM; None: nothing does
    :param calibration: ``none``, ``platt`` or ``isotonic``
    :param threshold: ``rule`` and its parameters; the value of ``fixed`` is a probability, or a margin where scores
        have no probabilities
    :param earlier_versions: by role, those to be measured on the same test rows
    :param output: folder to write into; ends with a slash
    :param sha256: of the request's bytes
    """

    training: TrainingIdentity
    inputs: Inputs
    num_features: int
    feature_space: str
    label_mapping: dict[str, int]
    group_key: str | None
    learner: LearnerChoice
    imbalance: Imbalance
    calibration: str
    threshold: dict[str, Any]
    earlier_versions: dict[str, EarlierVersion]
    output: str
    deadline: datetime
    lineage: dict[str, Any]
    sha256: str = field(repr=False)


def parse_request(content: bytes) -> Request:
    """The request in ``content``; raises JobError ``bad_request``."""
    try:
        document = json.loads(content)
    except ValueError as error:
        raise JobError("bad_request", f"request.json is not JSON: {error}") from None
    top = Fields(document, "")
    version = top.take("format_version", int, "a whole number")
    if version != FORMAT_VERSION:
        top.refuse("format_version", version, str(FORMAT_VERSION))
    inputs = parse_inputs(top.fields("inputs"))
    cut = inputs.split is not None and inputs.split.validation is not None
    has_validation = cut or inputs.validation is not None
    request = Request(
        training=_training(top.fields("training")),
        inputs=inputs,
        num_features=top.positive("num_features"),
        feature_space=top.text("feature_space"),
        label_mapping=_label_mapping(top.fields("label_mapping")),
        group_key=_group_key(top, inputs.format),
        learner=parse_learner(top.fields("learner")),
        imbalance=parse_imbalance(top.fields("imbalance")),
        calibration=parse_calibration(top, has_validation=has_validation),
        threshold=parse_threshold(top.fields("threshold"), has_validation=has_validation),
        earlier_versions=parse_earlier_versions(top),
        output=top.text("output").rstrip("/") + "/",
        deadline=_deadline(top),
        lineage=top.take("lineage", dict, "an object"),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    _refuse_what_is_not_built(top)
    top.end()
    return request


def _training(fields: Fields) -> TrainingIdentity:
    identity = TrainingIdentity(
        deployment=fields.text("deployment"),
        portfolio=fields.text("portfolio"),
        model=fields.text("model"),
        data_date=fields.text("data_date"),
        training_id=fields.text("training_id"),
        attempt=fields.positive("attempt"),
    )
    fields.end()
    return identity


def _label_mapping(fields: Fields) -> dict[str, int]:
    mapping: dict[str, int] = {}
    numbers: dict[float, str] = {}
    for label in fields.names():
        mapping[label] = fields.take(label, int, "0 or 1")
        if mapping[label] not in (0, 1):
            fields.refuse(label, mapping[label], "0 or 1")
        number = _number(label)
        if number is None or number in numbers:
            fields.refuse(label, label, "labels that are different numbers, as LibSVM has them")
        numbers[number] = label
    if set(mapping.values()) != {0, 1}:
        fields.refuse_whole(mapping, "a label for class 0 and a label for class 1")
    return mapping


def _number(label: str) -> float | None:
    try:
        number = float(label)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _group_key(top: Fields, form: str) -> str | None:
    key: str | None = top.take("group_key", (str, type(None)), "a text or null")
    if form == "libsvm" and key not in (None, LIBSVM_GROUP_KEY):
        top.refuse("group_key", key, f"{LIBSVM_GROUP_KEY!r} or null: LibSVM text has no other key")
    if key in RESERVED_COLUMNS or key == "":
        top.refuse("group_key", key, "the name of a column of its own")
    return key


def _deadline(fields: Fields) -> datetime:
    accepted = "an ISO 8601 time with its offset, such as 2026-11-23T03:00:00+00:00"
    text = fields.text("deadline")
    try:
        deadline = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        fields.refuse("deadline", text, accepted)
    if deadline.tzinfo is None:
        fields.refuse("deadline", text, accepted)
    return deadline


def _refuse_what_is_not_built(top: Fields) -> None:
    """The contract has these fields; this version of the job can only leave them out."""
    evaluation = top.take("evaluation", dict, "an object")
    if evaluation:
        top.refuse("evaluation", evaluation, "{}")
