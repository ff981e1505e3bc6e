"""What a request chooses, as frozen values: learner, imbalance, calibration, threshold rule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Optional, Union

from training_job.fields import Fields

CALIBRATIONS = ("none", "platt", "isotonic")
_ABOVE_ZERO = ("a number above 0", lambda value: value > 0)
_SHARE = ("a share above 0 and of at most 1", lambda value: 0 < value <= 1)
_NUMBER = ("a number", math.isfinite)
# rule → parameter → (what is accepted in words, does a finite number fit)
_RULES = {
    "fixed": {"value": _NUMBER},
    "best_f_beta": {"beta": _ABOVE_ZERO},
    "highest_recall": {"min_precision": _SHARE},
    "highest_precision": {"min_recall": _SHARE},
    "limited_positive_rate": {"max_positive_rate": _SHARE},
    "best_profit": {
        "true_positive": _NUMBER,
        "false_positive": _NUMBER,
        "true_negative": _NUMBER,
        "false_negative": _NUMBER,
    },
}


@dataclass(frozen=True)
class LearnerChoice:
    """
    :param name: a class of pyspark.ml.classification
    """

    name: str
    params: dict[str, Any]


@dataclass(frozen=True)
class Imbalance:
    """
    :param negatives_kept: share of train's negatives that are learned from
    :param class_weights: of classes 0 and 1; ``balanced``: such that both weigh the same; None: every row its own
    """

    negatives_kept: float = 1.0
    class_weights: Optional[Union[str, tuple[float, float]]] = None


def parse_learner(fields: Fields) -> LearnerChoice:
    """Which learner; raises ``bad_request``."""
    choice = LearnerChoice(name=fields.text("name"), params=fields.take("params", dict, "an object"))
    fields.end()
    return choice


def parse_imbalance(fields: Fields) -> Imbalance:
    """What is done about rare positives; raises ``bad_request``."""
    kept = _number(fields, "negatives_kept", *_SHARE)
    weights = fields.take("class_weights", (dict, str, type(None)), "'balanced', two weights, or null")
    if isinstance(weights, dict):
        of_class = fields.fields("class_weights")
        weights = (_number(of_class, "0", *_ABOVE_ZERO), _number(of_class, "1", *_ABOVE_ZERO))
        of_class.end()
    elif weights not in (None, "balanced"):
        fields.refuse("class_weights", weights, "'balanced', two weights, or null")
    fields.end()
    return Imbalance(negatives_kept=kept, class_weights=weights)


def parse_calibration(top: Fields, *, has_validation: bool) -> str:
    """Which calibration; raises ``bad_request``."""
    calibration = top.text("calibration")
    if calibration not in CALIBRATIONS:
        top.refuse("calibration", calibration, " or ".join(CALIBRATIONS))
    if calibration != "none" and not has_validation:
        top.refuse("calibration", calibration, "none: there is no validation split to fit it on")
    return calibration


def parse_threshold(fields: Fields, *, has_validation: bool) -> dict[str, Any]:
    """``rule`` and its parameters; raises ``bad_request``."""
    rule = fields.text("rule")
    if rule not in _RULES:
        fields.refuse("rule", rule, " or ".join(_RULES))
    numbers = {name: _number(fields, name, *domain) for name, domain in _RULES[rule].items()}
    fields.end()
    if rule != "fixed" and not has_validation:
        fields.refuse("rule", rule, "fixed: there is no validation split to choose on, and test only reports")
    return {"rule": rule, **numbers}


def _number(fields: Fields, name: str, accepted: str, fits: Any) -> float:
    value = float(fields.take(name, (int, float), accepted))
    if not (math.isfinite(value) and fits(value)):
        fields.refuse(name, value, accepted)
    return value
