"""The life of one cluster and its steps: pure functions from a cluster and a time to the next cluster.

States, reason codes and messages follow the EMR API reference ("ClusterStatus", "StepStatus", "StepConfig") and
what EMR is seen to answer. Who may move on when (slots, waiting times) is decided in `control_plane`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from local_aws.emr.values import (
    Cluster,
    ClusterState,
    Failure,
    NodeLoss,
    Past,
    Reason,
    Step,
    StepId,
    StepPlan,
    StepState,
)

ALL_STEPS_COMPLETED = Reason("ALL_STEPS_COMPLETED", "Steps completed")
# a cluster whose failed steps said CONTINUE ends as TERMINATED, yet with this code
STEPS_COMPLETED_WITH_ERRORS = Reason("STEP_FAILURE", "Steps completed with errors")
STEP_FAILURE = Reason("STEP_FAILURE", "Shut down as step failed")
USER_REQUEST = Reason("USER_REQUEST", "Terminated by user request")
NO_CAPACITY = Reason("INTERNAL_ERROR", "EC2 has no instances of the requested types.")
JOB_TERMINATED = Reason(None, "Job terminated")
NO_REASON = Reason()

# of a cluster's history; a cluster that is kept alive goes to and fro for ever
STATES_KEPT = 20

_TERMINATES_CLUSTER = ("TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW")
_ENDS_WELL = (ALL_STEPS_COMPLETED, STEPS_COMPLETED_WITH_ERRORS, USER_REQUEST)


@dataclass(frozen=True)
class StepEnd:
    """How a step's process ended, as its runner saw it."""

    failure: Failure | None = None


# of a step without a process, which ends the moment it is told to
STOPPED = StepEnd(Failure("Stopped"))


def bootstrap(cluster: Cluster, now: datetime) -> Cluster:
    """The instances are there: STARTING becomes BOOTSTRAPPING.

    A cluster whose steps are processes on this machine holds a slot from here on.
    """
    return replace(
        cluster,
        state=ClusterState.BOOTSTRAPPING,
        reason=Reason(None, "Running bootstrap actions"),
        bootstrapping_since=now,
        has_slot=cluster.needs_slot,
        wants_slot_since=None,
        no_instances=None,
    )


def become_ready(cluster: Cluster, now: datetime) -> Cluster:
    """Bootstrapping is over; the first step, if there is one, may start."""
    ready = replace(cluster, state=ClusterState.RUNNING, reason=Reason(None, "Running step"), ready_at=now)
    return settle(ready, now)


def fail_bootstrap(cluster: Cluster, now: datetime) -> Cluster:
    """A bootstrap action ended with an exit code other than 0."""
    message = (
        f"On the master instance (i-00000000000000000), bootstrap action 1 returned a non-zero return code: "
        f"{cluster.bootstrap_exit_code}"
    )
    return terminate(cluster, Reason("BOOTSTRAP_FAILURE", message), now)


def start_step(cluster: Cluster, step_id: StepId, plan: StepPlan | None, now: datetime) -> Cluster:
    started = change_step(
        cluster, step_id, lambda step: replace(step, state=StepState.RUNNING, started_at=now, plan=plan)
    )
    running = replace(started, state=ClusterState.RUNNING, reason=Reason(None, "Running step"))
    if plan is not None:
        return running
    return replace(running, has_slot=True, used_machine=True, wants_slot_since=None)


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


def add_steps(cluster: Cluster, steps: tuple[Step, ...]) -> Cluster:
    return replace(cluster, steps=cluster.steps + steps)


def end_step(cluster: Cluster, step_id: StepId, end: StepEnd, now: datetime) -> Cluster:
    """The step has ended; its ActionOnFailure decides what becomes of the cluster."""
    step = cluster.step(step_id)
    if step is None or not step.state.is_under_way:
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


def end_planned_step(cluster: Cluster, step: Step, now: datetime) -> Cluster:
    """The end of a step that had no process, as its plan has it."""
    if step.state is StepState.CANCEL_PENDING or step.plan is None:
        return end_step(cluster, step.step_id, STOPPED, now)
    return end_step(cluster, step.step_id, StepEnd(step.plan.failure), now)


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
    terminating = replace(
        cancelled,
        state=ClusterState.TERMINATING,
        reason=reason,
        wants_slot_since=None,
        terminating_since=now,
    )
    for step in terminating.steps:
        if step.state.is_under_way and step.plan is not None:
            terminating = end_step(terminating, step.step_id, STOPPED, now)
    return terminating


def lose_nodes(cluster: Cluster, loss: NodeLoss, ended_by: str | None, now: datetime) -> Cluster:
    """Nodes are gone; `ended_by` says why the cluster cannot go on without them, if it cannot."""
    losses = tuple(
        replace(known, at=now, happened=True) if known == loss else known for known in cluster.losses
    )
    lost = replace(cluster, losses=losses)
    return lost if ended_by is None else terminate(lost, Reason("INSTANCE_FAILURE", ended_by), now)


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
        if step.state.is_under_way
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


def remember(before: Cluster | None, after: Cluster, now: datetime) -> Cluster:
    """The cluster with its new state in its history, if it has one."""
    if before is not None and (before.state, before.reason) == (after.state, after.reason):
        return after
    past = Past(now, after.state, after.reason)
    return replace(after, history=(*after.history[1 - STATES_KEPT :], past))


def as_it_was(cluster: Cluster, moment: datetime) -> Cluster | None:
    """The cluster in the state in which it was then; None before it was made."""
    if cluster.created_at > moment:
        return None
    past = next((past for past in reversed(cluster.history) if past.at <= moment), cluster.history[0])

    def known(time: datetime | None) -> datetime | None:
        return time if time is not None and time <= moment else None

    return replace(
        cluster,
        state=past.state,
        reason=past.reason,
        ready_at=known(cluster.ready_at),
        ended_at=known(cluster.ended_at),
    )
