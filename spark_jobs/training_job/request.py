"""``request.json`` as frozen values: in its bytes, out a Request, or a ``bad_request`` failure that names the field.

A field that this version does not know is refused, since ignoring it would train something else than was asked for.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

from training_job.failures import JobError

FORMAT_VERSION = 2


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
class InputObject:
    """One object to read.

    :param size: bytes when the training was planned
    """

    uri: str
    size: int
    etag: str | None


@dataclass(frozen=True)
class Inputs:
    train: tuple[InputObject, ...]
    validation: tuple[InputObject, ...] | None
    test: tuple[InputObject, ...]


@dataclass(frozen=True)
class LearnerChoice:
    name: str
    params: dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One training, as asked for.

    :param label_mapping: label as the data writes it → class 0 or 1
    :param threshold: a decision is ``score >= threshold``
    :param output: folder to write into; ends with a slash
    :param sha256: of the request's bytes
    """

    training: TrainingIdentity
    inputs: Inputs
    num_features: int
    feature_space: str
    label_mapping: dict[str, int]
    learner: LearnerChoice
    threshold: float
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
    top = _Fields(document, "")
    version = top.take("format_version", int, "a whole number")
    if version != FORMAT_VERSION:
        top.refuse("format_version", version, str(FORMAT_VERSION))
    request = Request(
        training=_training(top.fields("training")),
        inputs=_inputs(top.fields("inputs")),
        num_features=top.positive("num_features"),
        feature_space=top.text("feature_space"),
        label_mapping=_label_mapping(top.fields("label_mapping")),
        learner=_learner(top.fields("learner")),
        threshold=_threshold(top.fields("threshold")),
        output=top.text("output").rstrip("/") + "/",
        deadline=_deadline(top),
        lineage=top.take("lineage", dict, "an object"),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    _refuse_what_is_not_built(top)
    top.end()
    return request


def _training(fields: _Fields) -> TrainingIdentity:
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


def _inputs(fields: _Fields) -> Inputs:
    train, test = _objects(fields, "train"), _objects(fields, "test")
    validation = _objects(fields, "validation")
    fields.end()
    if train is None or test is None:
        fields.refuse("train" if train is None else "test", None, "a list of objects {uri, size, etag}")
    return Inputs(train=train, validation=validation, test=test)


def _objects(fields: _Fields, name: str) -> tuple[InputObject, ...] | None:
    listed = fields.take(name, (list, type(None)), "a list of objects {uri, size, etag}")
    if listed is None:
        return None
    return tuple(_object(_Fields(each, f"{fields.path(name)}[{n}]")) for n, each in enumerate(listed))


def _object(fields: _Fields) -> InputObject:
    listed = InputObject(
        uri=fields.text("uri"),
        size=fields.take("size", int, "a size in bytes"),
        etag=fields.take("etag", (str, type(None)), "a text or null"),
    )
    fields.end()
    if listed.uri.rpartition("/")[2][:1] in ("", "_", "."):
        fields.refuse("uri", listed.uri, "a file; Spark skips names that start with _ or a dot")
    return listed


def _label_mapping(fields: _Fields) -> dict[str, int]:
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


def _learner(fields: _Fields) -> LearnerChoice:
    choice = LearnerChoice(name=fields.text("name"), params=fields.take("params", dict, "an object"))
    fields.end()
    return choice


def _threshold(fields: _Fields) -> float:
    rule = fields.text("rule")
    if rule != "fixed":
        fields.refuse("rule", rule, "'fixed'")
    value = float(fields.take("value", (int, float), "a probability"))
    if not 0 <= value <= 1:
        fields.refuse("value", value, "a probability from 0 to 1")
    fields.end()
    return value


def _deadline(fields: _Fields) -> datetime:
    accepted = "an ISO 8601 time with its offset, such as 2026-11-23T03:00:00+00:00"
    text = fields.text("deadline")
    try:
        deadline = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        fields.refuse("deadline", text, accepted)
    if deadline.tzinfo is None:
        fields.refuse("deadline", text, accepted)
    return deadline


def _refuse_what_is_not_built(top: _Fields) -> None:
    """The contract has these fields; this version of the job can only leave them out."""
    for name in ("group_key", "champion", "best_recent"):
        value = top.take(name, object, "null")
        if value is not None:
            top.refuse(name, value, "null")
    evaluation = top.take("evaluation", dict, "an object")
    if evaluation:
        top.refuse("evaluation", evaluation, "{}")


class _Fields:
    """One object of the request, from which fields are taken by name and kind; what is left over is refused."""

    def __init__(self, document: Any, where: str) -> None:
        if not isinstance(document, dict):
            raise JobError("bad_request", f"request.json: {where or 'the top'}: expected an object")
        self._document = document
        self._where = where
        self._taken: set[str] = set()

    def path(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name

    def names(self) -> list[str]:
        return list(self._document)

    def take(self, name: str, kind: Any, accepted: str) -> Any:
        if name not in self._document:
            raise JobError("bad_request", f"request.json: {self.path(name)} is missing; expected {accepted}")
        self._taken.add(name)
        value = self._document[name]
        # JSON's true is an int to Python
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not object):
            self.refuse(name, value, accepted)
        return value

    def text(self, name: str) -> str:
        value: str = self.take(name, str, "a text")
        if not value:
            self.refuse(name, value, "a text that is not empty")
        return value

    def positive(self, name: str) -> int:
        value: int = self.take(name, int, "a whole number above 0")
        if value < 1:
            self.refuse(name, value, "a whole number above 0")
        return value

    def fields(self, name: str) -> _Fields:
        return _Fields(self.take(name, dict, "an object"), self.path(name))

    def end(self) -> None:
        unknown = sorted(set(self._document) - self._taken)
        if unknown:
            raise JobError(
                "bad_request",
                f"request.json: {self.path(unknown[0])} is not a field of format version {FORMAT_VERSION}; "
                f"known there are {', '.join(sorted(self._taken))}",
            )

    def refuse(self, name: str, value: object, accepted: str) -> NoReturn:
        raise JobError("bad_request", f"request.json: {self.path(name)} is {value!r}; expected {accepted}")

    def refuse_whole(self, value: object, accepted: str) -> NoReturn:
        raise JobError("bad_request", f"request.json: {self._where} is {value!r}; expected {accepted}")
