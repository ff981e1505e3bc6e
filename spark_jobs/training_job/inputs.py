"""The ``inputs`` of a request as frozen values: which objects hold which split, in what form, and how to read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, Optional

from training_job.fields import Fields

FORMATS = ("libsvm", "parquet")
SPLITS = ("train", "validation", "test")
_OBJECTS = "a list of objects {uri, size, etag}"
_SHARE = "a share above 0 and below 1, or null"
_RATE = "a rate above 0 and of at most 1"


@dataclass(frozen=True)
class InputObject:
    """One object to read.

    :param size: bytes when the training was planned
    """

    uri: str
    size: int
    etag: Optional[str]


@dataclass(frozen=True)
class Shares:
    """What is cut from the rows of train, as shares of all of them; None: nothing, for that split.

    :param seed: the same for all data dates, so that a pattern stays on its side from day to day
    """

    test: Optional[float]
    validation: Optional[float]
    seed: int


@dataclass(frozen=True)
class Inputs:
    """
    :param format: one of FORMATS
    :param validation: None where it is cut from train, or not there at all
    :param test: None where it is cut from train
    :param split: None where every split has objects of its own
    :param max_bad_lines: how many lines of each of the three may be skipped because they cannot be read
    :param negatives_kept: split → share of its negatives that were kept before they came here; absent: all; what is cut
        from train has train's
    """

    format: str
    train: tuple[InputObject, ...]
    validation: Optional[tuple[InputObject, ...]]
    test: Optional[tuple[InputObject, ...]]
    split: Optional[Shares]
    max_bad_lines: int
    negatives_kept: dict[str, float]


def parse_inputs(fields: Fields) -> Inputs:
    """The inputs; raises ``bad_request``."""
    form = fields.text("format")
    if form not in FORMATS:
        fields.refuse("format", form, " or ".join(FORMATS))
    max_bad_lines: int = fields.take("max_bad_lines", int, "a whole number of at least 0")
    if max_bad_lines < 0:
        fields.refuse("max_bad_lines", max_bad_lines, "a whole number of at least 0")
    train = _objects(fields, "train")
    if train is None:
        fields.refuse("train", None, _OBJECTS)
    split = _shares(fields)
    inputs = Inputs(
        format=form,
        train=train,
        validation=_objects(fields, "validation"),
        test=_objects(fields, "test"),
        split=split,
        max_bad_lines=max_bad_lines,
        negatives_kept=_negatives_kept(fields.fields("negatives_kept"), split),
    )
    fields.end()
    _check_one_source_each(fields, inputs)
    return inputs


def _objects(fields: Fields, name: str) -> Optional[tuple[InputObject, ...]]:
    listed = fields.take(name, (list, type(None)), _OBJECTS)
    if listed is None:
        return None
    return tuple(_object(Fields(each, f"{fields.path(name)}[{n}]")) for n, each in enumerate(listed))


def _object(fields: Fields) -> InputObject:
    listed = InputObject(
        uri=fields.text("uri"),
        size=fields.take("size", int, "a size in bytes"),
        etag=fields.take("etag", (str, type(None)), "a text or null"),
    )
    fields.end()
    if listed.uri.rpartition("/")[2][:1] in ("", "_", "."):
        fields.refuse("uri", listed.uri, "a file; Spark skips names that start with _ or a dot")
    return listed


def _shares(fields: Fields) -> Optional[Shares]:
    if fields.take("split", (dict, type(None)), "an object {test, validation, seed} or null") is None:
        return None
    split = fields.fields("split")
    shares = Shares(
        test=_share(split, "test"),
        validation=_share(split, "validation"),
        seed=split.take("seed", int, "a whole number"),
    )
    split.end()
    if (shares.test or 0) + (shares.validation or 0) >= 1:
        split.refuse("validation", shares.validation, "shares that leave rows to train, below 1 together")
    return shares


def _share(fields: Fields, name: str) -> Optional[float]:
    value = fields.take(name, (int, float, type(None)), _SHARE)
    if value is not None and not 0 < value < 1:
        fields.refuse(name, value, _SHARE)
    return value if value is None else float(value)


def _negatives_kept(fields: Fields, split: Optional[Shares]) -> dict[str, float]:
    kept = {name: float(fields.take(name, (int, float), _RATE)) for name in fields.names() if name in SPLITS}
    fields.end()
    for name, rate in kept.items():
        if not 0 < rate <= 1:
            fields.refuse(name, rate, _RATE)
    cut = {} if split is None else {"validation": split.validation, "test": split.test}
    of_train = kept.get("train", 1.0)
    for name in (name for name, share in cut.items() if share is not None):
        if kept.setdefault(name, of_train) != of_train:
            fields.refuse(name, kept[name], f"train's rate, {of_train:g}, or none: it is cut from train")
    return kept


def _check_one_source_each(fields: Fields, inputs: Inputs) -> None:
    """Test comes from its objects or is cut from train; validation as well, or from neither."""
    cut_test, cut_validation = (
        (None, None) if inputs.split is None else (inputs.split.test, inputs.split.validation)
    )
    if (inputs.test is None) == (cut_test is None):
        _refuse_source(fields, "test", inputs.test)
    if inputs.validation is not None and cut_validation is not None:
        _refuse_source(fields, "validation", inputs.validation)


def _refuse_source(fields: Fields, name: str, objects: Optional[tuple[InputObject, ...]]) -> NoReturn:
    given = None if objects is None else f"{len(objects)} objects"
    fields.refuse(name, given, f"either {_OBJECTS} or a share in {fields.path('split')}.{name}")
