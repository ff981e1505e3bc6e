"""The files of a training folder, as far as publishing reads them: bytes in, checked and frozen values out.

Keys that are not named here are left alone, so that a job may say more within one format version. Every number is
finite: a NaN would travel unseen into a score or a chart.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

FORMAT_VERSION = 2
OLDEST_FORMAT_VERSION = 2
SHA256 = r"^[0-9a-f]{64}$"

Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**31)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class FormatError(ValueError):
    """A file is not what its format says; the text names file, field, value and what is accepted.

    :param too_new: the file is whole, but of a later format than this package reads
    """

    def __init__(self, sentence: str, *, too_new: bool = False) -> None:
        super().__init__(sentence)
        self.too_new = too_new


class Part(BaseModel):
    """What the files' parts share: they cannot change, and what they do not name is left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Identity(Part):
    """Whose folder it is."""

    deployment: str
    portfolio: str
    model: str
    data_date: date
    training_id: str
    attempt: int


class File(Part):
    """What the manifest promises of one file."""

    sha256: str = Field(pattern=SHA256)
    size: int = Field(ge=0)


class Manifest(Part):
    """``manifest.json``, by which a training counts."""

    status: Literal["succeeded"]
    training: Identity
    request_sha256: str = Field(pattern=SHA256)
    files: dict[str, File]


class Lineage(Part):
    """What a model was made from."""

    code_sha256: str | None = None
    portfolio_sha256: str | None = None
    input_fingerprint: str | None = None


class AskedVersion(Part):
    """An older version that the job was to score on the same test rows."""

    version_id: int


class Request(Part):
    """``request.json``: what was asked for."""

    num_features: Count
    feature_space: Name
    champion: AskedVersion | None = None
    best_recent: AskedVersion | None = None
    serving: AskedVersion | None = None
    lineage: Lineage

    @property
    def tells_what_served(self) -> bool:
        """Whether ``serving`` stands in it; requests of older packages lack it."""
        return "serving" in self.model_fields_set


class Durations(Part):
    """Seconds."""

    load: Finite | None = None
    learn: Finite | None = None
    evaluate: Finite | None = None
    total: Finite | None = None


class Warned(Part):
    """What the job would have a person look at."""

    code: Code
    sentence: str = ""
    value: Finite | None = None
    split: Name | None = None


class Interval(Part):
    """How sure a figure is: its standard error and the bounds at one level of confidence."""

    value: Finite
    standard_error: Finite | None = None
    low: Finite | None = None
    high: Finite | None = None
    level: Finite | None = None


class Difference(Interval):
    """A figure of the new model minus the old one's, on the same rows."""

    rows: Count | None = None
    groups: Count | None = None


class Comparison(Part):
    """An old version on the very rows that the new model was tested on."""

    version_id: int
    training_id: str
    attempt: int
    data_date: date
    metrics: dict[Name, Finite] = {}
    differences: dict[Name, Difference] = {}


class ThresholdRule(Part):
    """The rule by which the threshold was chosen.

    :param feasible: whether any threshold keeps it
    """

    rule: Name
    feasible: bool = True


class Comparisons(Part):
    """What the new model was compared with."""

    champion: Comparison | None = None
    best_recent: Comparison | None = None

    def by_name(self) -> dict[str, Comparison]:
        """Those that were made."""
        pairs = {"champion": self.champion, "best_recent": self.best_recent}
        return {name: comparison for name, comparison in pairs.items() if comparison is not None}


class Metrics(Part):
    """``metrics.json``: metrics by split and name, ``rows`` among them."""

    metrics: dict[Name, dict[Name, Finite]]
    intervals: dict[Name, dict[Name, Interval]] = {}
    comparisons: Comparisons = Comparisons()
    threshold: Finite
    threshold_rule: ThresholdRule | None = None
    durations_seconds: Durations = Durations()
    iterations: Count | None = None
    objective: Finite | None = None
    warnings: list[Warned] = []

    def rows(self, split: str) -> int | None:
        """How many rows the split had."""
        rows = self.metrics.get(split, {}).get("rows")
        return None if rows is None else int(rows)


class Curve(Part):
    """Points of one curve on one split."""

    split: Name
    x_name: Name
    y_name: Name
    x: list[Finite]
    y: list[Finite]

    @model_validator(mode="after")
    def _paired(self) -> Curve:
        if len(self.x) != len(self.y):
            raise ValueError(f"{len(self.x)} x for {len(self.y)} y")
        return self


class Curves(Part):
    """``curves.json``, by name."""

    curves: dict[Name, Curve]


class JobFailure(Part):
    """``failure.json`` without its offending lines, which are users' data and stay in S3."""

    code: Code
    sentence: str
    place: dict[str, Any] | None = None


Format = TypeVar("Format", bound=Part)


def parse(format_: type[Format], content: bytes, *, name: str) -> Format:
    """Read one file.

    :param name: the file's name, for the error's text
    :raises FormatError: the content is no such file
    """
    document = read_document(content, name=name)
    values = validated(format_, document, name=name)
    check_storable(document, content, name=name)
    return values


def read_document(
    content: bytes | bytearray, *, name: str, loads: Callable[[bytes | bytearray], Any] = json.loads
) -> dict[str, Any]:
    """The JSON object of a format version that is read here.

    :param loads: what reads JSON
    :raises FormatError: the content is none
    """
    try:
        document = loads(content)
    except ValueError as error:
        raise FormatError(f"{name} is no JSON ({error}); it may have been cut short") from error
    version = document.get("format_version") if isinstance(document, dict) else None
    if not isinstance(version, int) or version < OLDEST_FORMAT_VERSION:
        accepted = f"{OLDEST_FORMAT_VERSION} to {FORMAT_VERSION}"
        raise FormatError(f"{name} has format_version {version!r}; accepted are {accepted}")
    if version > FORMAT_VERSION:
        raise FormatError(
            f"{name} has format_version {version}, later than the {FORMAT_VERSION} that this trainyard reads: "
            "deploy the trainyard that the job belongs to",
            too_new=True,
        )
    return dict(document)


def validated(format_: type[Format], document: dict[str, Any], *, name: str) -> Format:
    """The document as a value; raises FormatError with field and value."""
    try:
        return format_.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole"
        value = "" if isinstance(first["input"], dict | list) else f" (it is {first['input']!r})"
        raise FormatError(f"{name}: {field}: {first['msg'].removeprefix('Value error, ')}{value}") from error


def check_storable(document: object, content: bytes | bytearray, *, name: str) -> None:
    """Refuse what Python reads as JSON and PostgreSQL does not store, wherever in the file it stands."""
    try:
        # arrays that are not lists are for their reader to check
        json.dumps(document, allow_nan=False, ensure_ascii=False, default=lambda _: None).encode()
    except ValueError as error:
        raise FormatError(
            f"{name} holds a number or a character that JSON does not have ({error})"
        ) from error
    if b"\\u0000" in content:
        raise FormatError(f"{name} holds the character U+0000, which no text in a database may hold")
