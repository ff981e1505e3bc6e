"""From learning to a decision: rare positives, probabilities, and the business rule that sets the threshold.

docs/learners.md tells what each of them does.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, PlainValidator, Tag, ValidationInfo, WithJsonSchema

from trainyard.portfolio import variants
from trainyard.portfolio.inputs import Inputs
from trainyard.portfolio.rules import SENTENCE, Value, conflict, refuse

_WEIGHTS_SENTENCE = "balanced, a weight above 0 of each class such as {0: 1, 1: 10}, or null"
_WEIGHT = {"type": "number", "exclusiveMinimum": 0}
_RULE = "What the threshold is chosen by."


def _class_weights(value: Any) -> str | dict[str, float] | None:
    if value is None or value == "balanced":
        return None if value is None else "balanced"
    if isinstance(value, dict) and set(value) == {"0", "1"} and all(map(_is_weight, value.values())):
        return {name: float(value[name]) for name in ("0", "1")}
    raise refuse(_WEIGHTS_SENTENCE)


def _is_weight(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


ClassWeights: TypeAlias = Annotated[
    str | dict[str, float] | None,
    PlainValidator(_class_weights),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "balanced"},
                {
                    "type": "object",
                    "properties": {"0": _WEIGHT, "1": _WEIGHT},
                    "required": ["0", "1"],
                    "additionalProperties": False,
                },
                {"type": "null"},
            ],
            SENTENCE: _WEIGHTS_SENTENCE,
        }
    ),
]


class Imbalance(Value):
    """What is done about rare positives while learning; probabilities are corrected for it."""

    negatives_kept: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of train's negatives that are learned from; probabilities have their odds multiplied by"
        " it.",
    )
    class_weights: ClassWeights = Field(
        default=None,
        description="What a row of each class weighs while learning, times its own weight; balanced: both classes"
        " weigh the same. Probabilities are corrected for it.",
    )


class FixedThreshold(Value):
    """The same whatever the data says."""

    rule: Literal["fixed"] = Field(default="fixed", description=_RULE)
    value: float = Field(
        default=0.5, ge=0, le=1, description="Probability from which on a row is decided for."
    )
    margin: float = Field(
        default=0.0,
        description="The same for LinearSVC without a calibration, whose scores are margins and no probabilities.",
    )


class BestFBeta(Value):
    """The best balance of precision and recall."""

    rule: Literal["best_f_beta"] = Field(description=_RULE)
    beta: float = Field(
        default=1.0, gt=0, description="How many times as much recall counts as precision does."
    )


class HighestRecall(Value):
    """As many positives found as a least precision lets."""

    rule: Literal["highest_recall"] = Field(description=_RULE)
    min_precision: float = Field(
        gt=0, le=1, description="Least share of the rows decided for that must be positive."
    )


class HighestPrecision(Value):
    """As precise as a least recall lets."""

    rule: Literal["highest_precision"] = Field(description=_RULE)
    min_recall: float = Field(gt=0, le=1, description="Least share of the positives that must be found.")


class LimitedPositiveRate(Value):
    """As many rows as there is capacity for."""

    rule: Literal["limited_positive_rate"] = Field(description=_RULE)
    max_positive_rate: float = Field(
        gt=0, le=1, description="Largest share of all rows that may be decided for."
    )


class BestProfit(Value):
    """The most earned; a cost is below 0."""

    rule: Literal["best_profit"] = Field(description=_RULE)
    true_positive: float = Field(description="What a positive row earns that is decided for.")
    false_positive: float = Field(description="What a negative row earns that is decided for.")
    true_negative: float = Field(
        default=0.0, description="What a negative row earns that is not decided for."
    )
    false_negative: float = Field(
        default=0.0, description="What a positive row earns that is not decided for."
    )


Threshold: TypeAlias = Annotated[
    Annotated[FixedThreshold, Tag("fixed")]
    | Annotated[BestFBeta, Tag("best_f_beta")]
    | Annotated[HighestRecall, Tag("highest_recall")]
    | Annotated[HighestPrecision, Tag("highest_precision")]
    | Annotated[LimitedPositiveRate, Tag("limited_positive_rate")]
    | Annotated[BestProfit, Tag("best_profit")],
    variants.THRESHOLDS.discriminator(),
]
Calibration: TypeAlias = Literal["none", "platt", "isotonic"]


def check_calibration(calibration: str, inputs: Inputs | None) -> str:
    """Refuse a calibration that has no rows of its own to be fitted on."""
    if inputs is not None and calibration != "none" and not inputs.has_validation:
        raise conflict("none, or rows to calibrate on: inputs.validation, or a share in inputs.split")
    return calibration


def check_threshold(threshold: Threshold, info: ValidationInfo) -> Threshold:
    """Refuse a rule that has no rows of its own to choose on, and a fixed value on a scale that the scores are not on.

    Where both of ``value`` and ``margin`` are given, the right one counts.
    """
    inputs: Inputs | None = info.data.get("inputs")
    if inputs is not None and not isinstance(threshold, FixedThreshold) and not inputs.has_validation:
        raise conflict(
            "the rule fixed, or rows to choose on: inputs.validation, or a share in inputs.split, since test only"
            " reports"
        )
    learner, calibration = info.data.get("learner"), info.data.get("calibration")
    if not isinstance(threshold, FixedThreshold) or learner is None or calibration is None:
        return threshold
    written = threshold.model_fields_set & {"value", "margin"}
    if learner.has_probabilities or calibration != "none":
        if written == {"margin"}:
            raise conflict("value instead of margin: this model's scores become probabilities")
    elif written == {"value"}:
        raise conflict("margin instead of value: LinearSVC has no probabilities without a calibration")
    return threshold
