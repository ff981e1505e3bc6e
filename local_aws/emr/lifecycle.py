"""The life of one cluster and its steps: pure functions from a cluster and a time to the next cluster.

States, reason codes and messages follow the EMR API reference ("ClusterStatus", "StepStatus", "StepConfig") and
what EMR is seen to answer. Who may move on when (slots, waiting times) is decided in `control_plane`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from local_aws.emr.values import Cluster, ClusterState, Failure, Reason, Step, StepId, StepState

ALL_STEPS_COMPLETED = Reason("ALL_STEPS_COMPLETED", "Steps completed")
# a cluster whose failed steps said CONTINUE ends as TERMINATED, yet with this code
STEPS_COMPLETED_WITH_ERRORS = Reason("STEP_FAILURE", "Steps completed with errors")
STEP_FAILURE = Reason("STEP_FAILURE", "Shut down as step failed")
USER_REQUEST = Reason("USER_REQUEST", "Terminated by user request")
JOB_TERMINATED = Reason(None, "Job terminated")
NO_REASON = Reason()

_TERMINATES_CLUSTER = ("TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW")
_ENDS_WELL = (ALL_STEPS_COMPLETED, STEPS_COMPLETED_WITH_ERRORS, USER_REQUEST)


@dataclass(frozen=True)
class StepEnd:
    """How a step's process ended, as its runner saw it."""

    failure: Failure | None = None


def bootstrap(cluster: Cluster, now: datetime) -> Cluster:
    """The instances are there: STARTING becomes BOOTSTRAPPING, and the cluster holds a slot from here on."""
    return replace(
        cluster,
        state=ClusterState.BOOTSTRAPPING,
        reason=Reason(None, "Running bootstrap actions"),
        bootstrapping_since=now,
        has_slot=True,
        wants_slot_since=None,
    )


def become_ready(cluster: Cluster, now: datetime) -> Cluster:
    """Bootstrapping is over; the first step, if there is one, may start."""
    ready = replace(cluster, state=ClusterState.RUNNING, reason=Reason(None, "Running step"), ready_at=now)
    return settle(ready, now)


def start_step(cluster: Cluster, step_id: StepId, now: datetime) -> Cluster:
    started = change_step(
        cluster, step_id, lambda step: replace(step, state=StepState.RUNNING, started_at=now)
    )
    return replace(
        started,
        state=ClusterState.RUNNING,
        reason=Reason(None, "Running step"),
        has_slot=True,
        wants_slot_since=None,
    )


def settle(cluster: Cluster, now: datetime) -> Cluster:
    """Where nothing is left to run: WAITING if the cluster is kept alive, else TERMINATING."""
    if cluster.steps_in(StepState.PENDING, StepState.RUNNING, StepState.CANCEL_PENDING):
        return cluster
    if cluster.keeps_alive:
        message = (
            "Cluster ready after last step completed." if cluster.steps else "Cluster ready to run steps."
        )
        return replace(
            cluster,
            state=ClusterState.WAITING,
            reason=Reason(None, message),
            has_slot=False,
            wants_slot_since=None,
        )
    failed = cluster.steps_in(StepState.FAILED)
    return terminate(cluster, STEPS_COMPLETED_WITH_ERRORS if failed else ALL_STEPS_COMPLETED, now)


def add_steps(cluster: Cluster, steps: tuple[Step, ...], now: datetime) -> Cluster:
    queued = now if cluster.state is ClusterState.WAITING and not cluster.wants_slot_since else None
    return replace(cluster, steps=cluster.steps + steps, wants_slot_since=queued or cluster.wants_slot_since)


def end_step(cluster: Cluster, step_id: StepId, end: StepEnd, now: datetime) -> Cluster:
    """The step's process is gone; its ActionOnFailure decides what becomes of the cluster."""
    step = cluster.step(step_id)
    if step is None or not step.state.has_process:
        return cluster
    ended = change_step(cluster, step_id, lambda running: _ended_step(cluster, running, end, now))
    if cluster.state is ClusterState.TERMINATING:
        return ended
    if end.failure is not None and step.state is StepState.RUNNING:
        protected = cluster.termination_protected and cluster.keeps_alive
        if step.action_on_failure in _TERMINATES_CLUSTER and not protected:
            return terminate(ended, STEP_FAILURE, now)
        if step.action_on_failure != "CONTINUE":
            ended = cancel_pending(ended, now)
    return settle(ended, now)


def _ended_step(cluster: Cluster, step: Step, end: StepEnd, now: datetime) -> Step:
    if end.failure is None:
        return replace(step, state=StepState.COMPLETED, ended_at=now)
    if cluster.state is ClusterState.TERMINATING:
        return replace(step, state=StepState.CANCELLED, reason=JOB_TERMINATED, ended_at=now)
    if step.state is StepState.CANCEL_PENDING:
        return replace(step, state=StepState.CANCELLED, ended_at=now)
    return replace(step, state=StepState.FAILED, failure=end.failure, ended_at=now)


def cancel_step(cluster: Cluster, step_id: StepId, now: datetime) -> Cluster:
    """CancelSteps for one step: a pending one is cancelled at once, a running one when its process is gone."""

    def cancelled(step: Step) -> Step:
        if step.state is StepState.PENDING:
            return replace(step, state=StepState.CANCELLED, ended_at=now)
        return replace(step, state=StepState.CANCEL_PENDING)

    return change_step(cluster, step_id, cancelled)


def cancel_pending(cluster: Cluster, now: datetime, reason: Reason = NO_REASON) -> Cluster:
    return replace(
        cluster,
        steps=tuple(
            replace(step, state=StepState.CANCELLED, reason=reason, ended_at=now)
            if step.state is StepState.PENDING
            else step
            for step in cluster.steps
        ),
    )


def terminate(cluster: Cluster, reason: Reason, now: datetime) -> Cluster:
    """To TERMINATING; the slot is kept until the processes are gone."""
    if not cluster.state.takes_changes:
        return cluster
    cancelled = cancel_pending(cluster, now, JOB_TERMINATED)
    return replace(cancelled, state=ClusterState.TERMINATING, reason=reason, wants_slot_since=None)


def finish(cluster: Cluster, now: datetime) -> Cluster:
    """TERMINATING is over: every process of the cluster is gone."""
    state = ClusterState.TERMINATED if cluster.reason in _ENDS_WELL else ClusterState.TERMINATED_WITH_ERRORS
    return replace(cluster, state=state, ended_at=now, has_slot=False)


def lose(cluster: Cluster, message: str, now: datetime) -> Cluster:
    """The cluster is gone at once, as when the machine under it went away."""
    if cluster.state.is_over:
        return cluster
    cancelled = cancel_pending(cluster, now, JOB_TERMINATED)
    steps = tuple(
        replace(step, state=StepState.INTERRUPTED, reason=Reason(None, message), ended_at=now)
        if step.state.has_process
        else step
        for step in cancelled.steps
    )
    return replace(
        cancelled,
        steps=steps,
        state=ClusterState.TERMINATED_WITH_ERRORS,
        reason=Reason("INTERNAL_ERROR", message),
        has_slot=False,
        wants_slot_since=None,
        ended_at=now,
    )


def change_step(cluster: Cluster, step_id: StepId, change: Callable[[Step], Step]) -> Cluster:
    return replace(
        cluster,
        steps=tuple(change(step) if step.step_id == step_id else step for step in cluster.steps),
    )
