"""What EMR keeps about clusters and steps, as frozen values.

A cluster holds the RunJobFlow request as it came (without steps and tags, which change) beside what happens
to it, so DescribeCluster can show every field that was accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NewType

ClusterId = NewType("ClusterId", str)
StepId = NewType("StepId", str)


class ClusterState(str, Enum):
    STARTING = "STARTING"
    BOOTSTRAPPING = "BOOTSTRAPPING"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    TERMINATING = "TERMINATING"
    TERMINATED = "TERMINATED"
    TERMINATED_WITH_ERRORS = "TERMINATED_WITH_ERRORS"

    @property
    def is_over(self) -> bool:
        return self in (ClusterState.TERMINATED, ClusterState.TERMINATED_WITH_ERRORS)

    @property
    def takes_changes(self) -> bool:
        """Whether steps may still be added: EMR refuses it from TERMINATING on."""
        return not self.is_over and self is not ClusterState.TERMINATING


class StepState(str, Enum):
    PENDING = "PENDING"
    CANCEL_PENDING = "CANCEL_PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"

    @property
    def is_under_way(self) -> bool:
        return self in (StepState.RUNNING, StepState.CANCEL_PENDING)


@dataclass(frozen=True)
class ErrorDetail:
    """What EMR tells a program about a cluster's error, beside the sentence for a person."""

    code: str
    message: str
    data: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Reason:
    """A StateChangeReason: a code from EMR's closed list (or none), a sentence, and an error's details."""

    code: str | None = None
    message: str | None = None
    error: ErrorDetail | None = None


@dataclass(frozen=True)
class Failure:
    """A step's FailureDetails."""

    reason: str
    message: str | None = None
    log_file: str | None = None


@dataclass(frozen=True)
class Past:
    """A state that a cluster was in from a moment on."""

    at: datetime
    state: ClusterState
    reason: Reason


@dataclass(frozen=True)
class StepPlan:
    """How a step ends for which no process is started.

    :param seconds: how long it runs; None: until it is cancelled
    :param failure: how it then fails; None: it completes
    """

    seconds: float | None
    failure: Failure | None = None


@dataclass(frozen=True)
class NodeLoss:
    """Nodes that EC2 takes, or took, away from a cluster.

    :param fault_id: the fault that asked for it, so that it takes each cluster's nodes once
    :param nodes: how many; None: all of that role and market
    :param replaced_at: when those in their place are ready; None: there are none, it has not happened yet or
        the cluster ended by it
    """

    fault_id: str
    role: str
    market: str
    nodes: int | None
    at: datetime
    happened: bool = False
    replaced_at: datetime | None = None


@dataclass(frozen=True)
class NoInstances:
    """EC2 has none of the instances that a cluster asks for, for as long as the fault that says so stands.

    :param gives_up_at: when EMR ends the cluster for it
    :param times_out_at: when the provisioning timeout of an instance fleet ends, and its action is taken
    """

    fault_id: str
    market: str
    gives_up_at: datetime | None = None
    times_out_at: datetime | None = None
    timeout_action: str | None = None


@dataclass(frozen=True)
class Step:
    step_id: StepId
    request: Mapping[str, Any]
    created_at: datetime
    state: StepState = StepState.PENDING
    reason: Reason = Reason()
    failure: Failure | None = None
    plan: StepPlan | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def planned_end(self) -> datetime | None:
        """When a step without a process ends by itself."""
        if self.plan is None or self.plan.seconds is None or self.started_at is None:
            return None
        return self.started_at + timedelta(seconds=self.plan.seconds)

    @property
    def name(self) -> str:
        return str(self.request["Name"])

    @property
    def action_on_failure(self) -> str:
        return str(self.request.get("ActionOnFailure") or "CONTINUE")

    @property
    def args(self) -> tuple[str, ...]:
        return tuple(self.request["HadoopJarStep"].get("Args") or ())


@dataclass(frozen=True)
class Cluster:
    cluster_id: ClusterId
    request: Mapping[str, Any]
    created_at: datetime
    steps: tuple[Step, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    termination_protected: bool = False
    step_concurrency: int = 1
    managed_scaling: Mapping[str, Any] | None = None
    # how long it may be idle; None: for ever
    idle_timeout_seconds: int | None = None
    state: ClusterState = ClusterState.STARTING
    reason: Reason = Reason()
    # a slot is the right to run steps on this machine; it is given first come, first served
    has_slot: bool = False
    wants_slot_since: datetime | None = None
    # whether a process was ever started for it here: there may then be some to end
    used_machine: bool = False
    no_instances: NoInstances | None = None
    # whether its fleets' Spot capacity was bought as On-Demand instances, after the provisioning timeout
    on_demand_instead: bool = False
    losses: tuple[NodeLoss, ...] = ()
    # whether its bootstrap actions run now, as processes
    runs_bootstrap: bool = False
    # how, and which of its bootstrap actions is going to fail or has failed
    bootstrap_exit_code: int | None = None
    bootstrap_action: int = 1
    bootstrapping_since: datetime | None = None
    ready_at: datetime | None = None
    idle_since: datetime | None = None
    terminating_since: datetime | None = None
    ended_at: datetime | None = None
    # the latest states, oldest first
    history: tuple[Past, ...] = ()

    @property
    def name(self) -> str:
        return str(self.request["Name"])

    @property
    def keeps_alive(self) -> bool:
        return bool(self.request["Instances"].get("KeepJobFlowAliveWhenNoSteps", False))

    @property
    def log_uri(self) -> str | None:
        return self.request.get("LogUri")

    @property
    def needs_slot(self) -> bool:
        """Whether it has steps to come that are processes on this machine."""
        return any(step.state is StepState.PENDING and step.plan is None for step in self.steps)

    def step(self, step_id: StepId) -> Step | None:
        return next((step for step in self.steps if step.step_id == step_id), None)

    def steps_in(self, *states: StepState) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.state in states)
