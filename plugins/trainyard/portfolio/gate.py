"""What a trained model must show before it serves, and whether a person is asked: docs/gate.md."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from trainyard.portfolio.rules import Value, conflict, keys, refuse, says

# what metrics.json holds of the test split: docs/training-folder.md
METRICS = (
    *("accuracy", "area_under_pr", "auc", "average_precision", "base_rate", "brier_score"),
    *("expected_calibration_error", "f1"),
    *("false_negatives", "false_positives", "lift_at_10_percent", "lift_at_1_percent", "lift_at_5_percent"),
    *(
        "log_loss",
        "normalized_log_loss",
        "positive_rate",
        "positives",
        "precision",
        "predicted_over_observed",
    ),
    *("recall", "recall_at_10_percent", "recall_at_1_percent", "recall_at_5_percent", "rows"),
    *("share_seen_in_train", "true_negatives", "true_positives", "weighted_rows"),
)
# those of probabilities, which margins have none of
OF_PROBABILITIES = (
    *(
        "brier_score",
        "expected_calibration_error",
        "log_loss",
        "normalized_log_loss",
        "predicted_over_observed",
    ),
)
WARNINGS = (
    *("bad_lines_skipped", "base_rate_drift", "champion_not_comparable", "champion_unreadable"),
    *("constant_features", "feature_drift", "no_better_than_base_rate", "not_converged"),
    *("profile_unreadable", "test_rows_in_train", "threshold_infeasible", "unseen_features"),
)

_AGE = r"^[1-9][0-9]{0,4} (minutes?|hours?|days?)$"
AGE_SENTENCE = "a whole number of minutes, hours or days such as 90 minutes, 36 hours or 3 days"
Age = Annotated[str, Field(pattern=_AGE, json_schema_extra=says(AGE_SENTENCE))]


def age(text: Age) -> timedelta:
    """The time that a text such as ``3 days`` stands for."""
    number, unit = text.split()
    return timedelta(**{f"{unit.rstrip('s')}s": int(number)})


def _one_of(kind: str, known: Iterable[str]) -> AfterValidator:
    names = tuple(known)

    def check(name: str) -> str:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            hint = f"; nearest: {near[0]}" if near else ""
            raise refuse(f"{kind}: {', '.join(names)}{hint}")
        return name

    return AfterValidator(check)


MetricName: TypeAlias = Annotated[str, _one_of("a metric", METRICS)]
WarningCode: TypeAlias = Annotated[
    str, _one_of("a warning", WARNINGS), Field(json_schema_extra={"enum": [*WARNINGS]})
]


class Bound(Value):
    """From where to where a metric may go; both ends are allowed."""

    min: float | None = Field(default=None, description="Least value that is good enough.")
    max: float | None = Field(default=None, description="Greatest value that is good enough.")

    @model_validator(mode="after")
    def _bounds_something(self) -> Bound:
        if self.min is None and self.max is None:
            raise refuse("min, max, or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise refuse("a min that is not above the max")
        return self


class Gate(Value):
    """The rules that a trained model is held to."""

    bounds: dict[MetricName, Bound] = Field(
        default={},
        json_schema_extra={
            **keys({"enum": [*METRICS]}),
            **says("a mapping of metrics to bounds such as {auc: {min: 0.7}, log_loss: {max: 0.4}}"),
        },
        description="Bounds on metrics of the test rows, by name.",
    )
    margin: float | None = Field(
        default=0.005,
        gt=0,
        description="How much worse than the champion, and than the best version of the last 30 days, the log loss"
        " may be, as a share of the other's on the same test rows: 0.005 is half a percent. The upper bound of the"
        " difference's interval must stay below it. null: no such comparison.",
    )
    max_positive_rate_change: float | None = Field(
        default=None,
        gt=0,
        description="How far the share of rows decided yes may move from the champion's on the same rows, as a"
        " share of that one: 0.2 is a fifth more or less. null: as far as it likes.",
    )
    min_rows: int = Field(
        default=1000, ge=0, description="Test rows below which what was measured is inconclusive."
    )
    min_positives: int = Field(
        default=100, ge=0, description="Positive test rows below which what was measured is inconclusive."
    )
    when_inconclusive: Literal["hold_back", "activate"] = Field(
        default="hold_back", description="What becomes of a model about which too little is known."
    )
    blocking_warnings: tuple[WarningCode, ...] = Field(
        default=(),
        json_schema_extra=says(f"a list of warnings among {', '.join(WARNINGS)}"),
        description="Warnings of the job that hold a model back.",
    )

    @property
    def compares(self) -> bool:
        """Whether any rule needs an older version on the same rows."""
        return self.margin is not None or self.max_positive_rate_change is not None


def check_gate(gate: Gate, info: ValidationInfo) -> Gate:
    """Refuse rules about probabilities where the scores are none: each night would end as inconclusive."""
    learner, calibration = info.data.get("learner"), info.data.get("calibration")
    if learner is None or calibration is None or learner.has_probabilities or calibration != "none":
        return gate
    bound = [name for name in gate.bounds if name in OF_PROBABILITIES]
    if gate.margin is None and not bound:
        return gate
    wanted = ["margin: null"] if gate.margin is not None else []
    wanted += [f"no bound on {', '.join(bound)}"] if bound else []
    raise conflict(
        f"{' and '.join(wanted)}, or a calibration: {learner.name} has no probabilities without one, so no log loss"
    )


class Approval(Value):
    """A person's answer before anything of a run is activated."""

    within: Age = Field(default="12 hours", description="How long the question waits for an answer.")
    unanswered: Literal["reject", "approve"] = Field(
        default="reject", description="What counts as the answer where nobody gave one in time."
    )
