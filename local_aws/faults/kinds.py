"""The faults that can be asked for, as frozen values that check themselves.

Faults of calls hit requests, faults of clusters and steps hit what a request made. Each says whom it hits by
patterns of names as a shell has them (`train-*`), how often (`times`) and for how long (`for_seconds`).
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator, model_validator

from local_aws.emr.support import SUPPORTED_OPERATIONS


class _Fault(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: str = Field("*", min_length=1, description="pattern of the cluster's name")
    times: int | None = Field(None, ge=1, description="how many it hits; without: all, until it is removed")
    for_seconds: float | None = Field(None, gt=0, description="how long it is in force after it was set")


class CallFault(_Fault):
    """A fault of requests.

    A call that names no one cluster (ListClusters) is hit only where `cluster` is left at `*`.
    """

    calls: tuple[str, ...] = Field(("*",), min_length=1, description="patterns of names of operations")

    @field_validator("calls")
    @classmethod
    def _some_operation_matches(cls, calls: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in calls:
            if not any(fnmatchcase(operation, pattern) for operation in SUPPORTED_OPERATIONS):
                known = ", ".join(sorted(SUPPORTED_OPERATIONS))
                raise ValueError(f"{pattern!r} matches no operation that is served here: {known}")
        return calls


class Throttle(CallFault):
    """Answer ThrottlingException: to every call, or to those for which a token bucket has none left.

    With `burst` and `refill_per_second` each operation has a bucket of its own, as EMR's quotas are:
    https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-service-limits-what-are.html
    """

    kind: Literal["throttle"] = "throttle"
    burst: int | None = Field(None, ge=1, description="calls that can be made at once")
    refill_per_second: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _a_bucket_has_both(self) -> Throttle:
        if (self.burst is None) != (self.refill_per_second is None):
            raise ValueError("burst and refill_per_second go together: give both, or neither")
        return self


class Refuse(CallFault):
    """Answer an error of your choice, without doing the work."""

    kind: Literal["refuse"] = "refuse"
    code: str = Field("InternalServerException", min_length=1)
    message: str = "Service is temporarily unavailable."
    status: int = Field(500, ge=400, le=599, description="HTTP status")


class AnswerLate(CallFault):
    """Do the work at once, and answer only after a while."""

    kind: Literal["answer_late"] = "answer_late"
    delay_seconds: float = Field(gt=0)


class DropReply(CallFault):
    """Do the work, and break the connection instead of answering."""

    kind: Literal["drop_reply"] = "drop_reply"


class ListLag(_Fault):
    """ListClusters shows the matching clusters as they were that long ago: new ones not at all."""

    kind: Literal["list_lag"] = "list_lag"
    lag_seconds: float = Field(gt=0)

    @model_validator(mode="after")
    def _lasts(self) -> ListLag:
        if self.times is not None:
            raise ValueError("list_lag hits every listing while it is in force: give for_seconds, not times")
        return self


class NoCapacity(_Fault):
    """EC2 has no instances of that market: the cluster stays STARTING."""

    kind: Literal["no_capacity"] = "no_capacity"
    market: Literal["ANY", "SPOT", "ON_DEMAND"] = "ANY"
    gives_up_after_seconds: float | None = Field(
        None, gt=0, description="EMR then ends the cluster; without, it waits for ever"
    )


class FailBootstrap(_Fault):
    """A bootstrap action ends with an error, and the cluster with it."""

    kind: Literal["fail_bootstrap"] = "fail_bootstrap"
    exit_code: int = Field(1, ge=1, le=255)


class LoseNode(_Fault):
    """EC2 takes nodes away, `after_seconds` of the cluster's being ready, or at once where that has passed."""

    kind: Literal["lose_node"] = "lose_node"
    role: Literal["MASTER", "CORE", "TASK"] = "CORE"
    market: Literal["SPOT", "ON_DEMAND", "ANY"] = "SPOT"
    nodes: Annotated[int, Field(ge=1)] | Literal["all"] = 1
    after_seconds: float = Field(0, ge=0)


class StepFault(_Fault):
    step: str = Field("*", min_length=1, description="pattern of the step's name")


class StepEndFault(StepFault):
    """A fault of a step that starts. Of several that could hit it, the one set first does."""


class HangStep(StepEndFault):
    """The step runs until it is cancelled or its cluster is terminated; no process is started for it."""

    kind: Literal["hang_step"] = "hang_step"


class FailStep(StepEndFault):
    """The step fails with these FailureDetails, `after_seconds` of running; no process is started for it."""

    kind: Literal["fail_step"] = "fail_step"
    after_seconds: float = Field(0, ge=0)
    reason: str = "Unknown Error."
    message: str | None = None
    log_file: str | None = None


class Simulate(StepFault):
    """No fault but a way to run many: matching steps submitted from now on end well by themselves, without Spark."""

    kind: Literal["simulate"] = "simulate"
    step_seconds: float = Field(ge=0)


Fault = (
    Throttle
    | Refuse
    | AnswerLate
    | DropReply
    | ListLag
    | NoCapacity
    | FailBootstrap
    | LoseNode
    | HangStep
    | FailStep
    | Simulate
)

FAULTS: TypeAdapter[tuple[Fault, ...]] = TypeAdapter(
    tuple[Annotated[Fault, Field(discriminator="kind")], ...]
)
