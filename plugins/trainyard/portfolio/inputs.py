"""Where a model's rows come from: their form, the folders of each split, and what is cut from train instead."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from trainyard.portfolio.rules import TEMPLATE_SENTENCE, InputTemplate, Text, Value, conflict, missing

LIBSVM_GROUP_KEY = "qid"
_SHARE = "Share of train's rows that {} takes; null: none."
_KEPT = "Share of its negatives that the rows of {} hold; each then counts 1/share times."
_CUT = _KEPT + " What is cut from train has train's."
_SPLITS = ("train", "validation", "test")


class InputSplit(Value):
    """What is cut from the rows of train, by a hash of the group key, else of the features."""

    test: float | None = Field(default=None, gt=0, lt=1, description=_SHARE.format("test"))
    validation: float | None = Field(default=None, gt=0, lt=1, description=_SHARE.format("validation"))
    seed: int = Field(
        default=0,
        ge=0,
        le=2**31 - 1,
        description="Another one cuts otherwise. It holds for all data dates, so that what is test today is not"
        " learned from tomorrow.",
    )

    @field_validator("validation")
    @classmethod
    def _leaves_rows_to_train(cls, validation: float | None, info: ValidationInfo) -> float | None:
        test = info.data.get("test") or 0
        if validation is not None and test + validation >= 1:
            raise conflict(f"a share that, with test's {test:g}, leaves rows to train")
        return validation


class NegativesKept(Value):
    """How many of their negatives the splits hold, where a pipeline has left some out."""

    train: float = Field(default=1.0, gt=0, le=1, description=_KEPT.format("train"))
    validation: float = Field(default=1.0, gt=0, le=1, description=_CUT.format("validation"))
    test: float = Field(default=1.0, gt=0, le=1, description=_CUT.format("test"))


class Inputs(Value):
    """Where a model's features lie: S3 folders, with placeholders for model and data date."""

    format: Literal["libsvm", "parquet"] = Field(
        default="libsvm",
        description="libsvm: text, plain or compressed by gzip or bzip2; parquet: label, features or indices and"
        " values, weight.",
    )
    train: InputTemplate = Field(description="What is learned from.")
    split: InputSplit | None = Field(
        default=None, description="What is cut from train; null where each split has a folder of its own."
    )
    validation: InputTemplate | None = Field(
        default=None,
        description="What threshold and calibration are chosen on; null: what split says, else nothing is chosen.",
        validate_default=True,
    )
    test: InputTemplate | None = Field(
        default=None,
        description="What the metrics are computed on; required unless split says a share.",
        validate_default=True,
    )
    negatives_kept: NegativesKept = Field(
        default=NegativesKept(), description="Where negatives were left out before the rows came here."
    )
    max_bad_lines: int = Field(
        default=0,
        ge=0,
        description="Lines of each of train, validation and test that may be skipped because they cannot be read.",
    )
    marker: Text | None = Field(
        default="_SUCCESS", description="Object that says a folder is whole; null where any object will do."
    )
    wait_minutes: int = Field(
        default=60,
        ge=0,
        le=10_080,
        description="Minutes from the run's start that a model waits for input that is not there, without a cluster"
        " and without a worker.",
    )

    @field_validator("negatives_kept")
    @classmethod
    def _cut_rows_have_trains_rate(cls, kept: NegativesKept, info: ValidationInfo) -> NegativesKept:
        split = info.data.get("split")
        for name in ("validation", "test"):
            is_cut = split is not None and getattr(split, name) is not None
            if is_cut and name in kept.model_fields_set and getattr(kept, name) != kept.train:
                raise conflict(f"train's rate, {kept.train:g}, for {name}, since split cuts it from train")
        return kept

    @field_validator("validation")
    @classmethod
    def _validation_has_one_source(cls, validation: str | None, info: ValidationInfo) -> str | None:
        split = info.data.get("split")
        if validation is not None and split is not None and split.validation is not None:
            raise conflict(f"null, since split cuts a share of {split.validation:g} from train")
        return validation

    @field_validator("test")
    @classmethod
    def _test_has_one_source(cls, test: str | None, info: ValidationInfo) -> str | None:
        if "split" not in info.data:
            return test  # its own mistake is told already
        split = info.data["split"]
        if split is None or split.test is None:
            if test is None:
                raise missing(TEMPLATE_SENTENCE)
        elif test is not None:
            raise conflict(f"null, since split cuts a share of {split.test:g} from train")
        return test

    @property
    def has_validation(self) -> bool:
        """Whether there are rows to choose on, by a folder or by a share."""
        return self.validation is not None or (self.split is not None and self.split.validation is not None)

    @property
    def kept_rates(self) -> dict[str, float]:
        """Split → share of its negatives that its rows hold; what is cut from train holds what train does."""
        kept = self.negatives_kept
        return {name: kept.train if name in self._cut else getattr(kept, name) for name in _SPLITS}

    @property
    def _cut(self) -> set[str]:
        split = self.split
        return {name for name in ("validation", "test") if split and getattr(split, name) is not None}

    def resolve(self, *, model: str, data_date: date) -> Inputs:
        """The same inputs without placeholders, for one model and data date (written as 2026-11-22)."""

        def fill(template: str | None) -> str | None:
            return None if template is None else template.format(model=model, data_date=data_date.isoformat())

        places = {name: fill(getattr(self, name)) for name in ("train", "validation", "test")}
        return self.model_copy(update=places)


def check_group_key(key: str | None, inputs: Inputs | None) -> str | None:
    """The key, if rows of the inputs' format can have it."""
    if key is None or inputs is None:
        return key
    if inputs.format == "libsvm" and key != LIBSVM_GROUP_KEY:
        raise conflict(f"{LIBSVM_GROUP_KEY} or null: rows of LibSVM have no other key")
    if key in {"label", "features", "indices", "values", "weight"}:
        raise conflict("another column, or null: this one has a meaning of its own")
    return key
