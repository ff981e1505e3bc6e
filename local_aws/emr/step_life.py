"""The life of a cluster's steps, and what their ends do to the cluster: pure, as `lifecycle` is.

States: https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-work-with-steps.html and
https://docs.aws.amazon.com/emr/latest/APIReference/API_StepStatus.html.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from local_aws.emr import lifecycle
from local_aws.emr.values import Cluster, ClusterState, Failure, Reason, Step, StepId, StepPlan, StepState

_TERMINATES_CLUSTER = ("TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW")


@dataclass(frozen=True)
class StepEnd:
    """How a step's process ended, as its runner saw it."""

    failure: Failure | None = None


# of a step without a process, which ends the moment it is told to
STOPPED = StepEnd(Failure("Stopped"))


def add_steps(cluster: Cluster, steps: tuple[Step, ...]) -> Cluster:
    return replace(cluster, steps=cluster.steps + steps)


def start_step(cluster: Cluster, step_id: StepId, plan: StepPlan | None, now: datetime) -> Cluster:
    """PENDING becomes RUNNING, and so does a cluster that was WAITING (emr-work-with-steps.html).

    :param plan: how the step ends without a process; None: a process is started for it
    """
    started = _change(
        cluster, step_id, lambda step: replace(step, state=StepState.RUNNING, started_at=now, plan=plan)
    )
    running = replace(
        started, state=ClusterState.RUNNING, reason=Reason(None, "Running step"), idle_since=None
    )
    if plan is not None:
        return running
    return replace(running, has_slot=True, used_machine=True, wants_slot_since=None)


def end_step(cluster: Cluster, step_id: StepId, end: StepEnd, now: datetime) -> Cluster:
    """The step has ended; its ActionOnFailure decides what becomes of the cluster.

    API_StepConfig.html (ActionOnFailure, also where StepConcurrencyLevel is above 1),
    UsingEMR_TerminationProtection.html.
    """
    step = cluster.step(step_id)
    if step is None or not step.state.is_under_way:
        return cluster
    ended = _change(cluster, step_id, lambda running: _ended_step(cluster, running, end, now))
    if not cluster.state.takes_changes:
        return ended
    failed = end.failure is not None and step.state is StepState.RUNNING
    if failed and cluster.step_concurrency == 1:
        protected = cluster.termination_protected and cluster.keeps_alive
        if step.action_on_failure in _TERMINATES_CLUSTER and not protected:
            return lifecycle.terminate(ended, lifecycle.STEP_FAILURE, now)
        if step.action_on_failure != "CONTINUE":
            ended = _cancel_pending(ended, now)
    return lifecycle.settle(ended, now)


def end_planned_step(cluster: Cluster, step: Step, now: datetime) -> Cluster:
    """The end of a step that had no process, as its plan has it."""
    if step.state is StepState.CANCEL_PENDING or step.plan is None:
        return end_step(cluster, step.step_id, STOPPED, now)
    return end_step(cluster, step.step_id, StepEnd(step.plan.failure), now)


def cancel_step(cluster: Cluster, step_id: StepId, now: datetime) -> Cluster:
    """CancelSteps for one step: a pending one is cancelled at once, a running one when its process is gone.

    API_CancelSteps.html, emr-cancel-steps.html.
    """

    def cancelled(step: Step) -> Step:
        if step.state is StepState.PENDING:
            return replace(step, state=StepState.CANCELLED, ended_at=now)
        return replace(step, state=StepState.CANCEL_PENDING)

    return _change(cluster, step_id, cancelled)


def _ended_step(cluster: Cluster, step: Step, end: StepEnd, now: datetime) -> Step:
    """COMPLETED, FAILED, or CANCELLED where it was stopped (API_StepStatus.html)."""
    if end.failure is None:
        return replace(step, state=StepState.COMPLETED, ended_at=now)
    if cluster.state is ClusterState.TERMINATING:
        return replace(step, state=StepState.CANCELLED, reason=lifecycle.JOB_TERMINATED, ended_at=now)
    if step.state is StepState.CANCEL_PENDING:
        return replace(step, state=StepState.CANCELLED, ended_at=now)
    return replace(step, state=StepState.FAILED, failure=end.failure, ended_at=now)


def _cancel_pending(cluster: Cluster, now: datetime) -> Cluster:
    return replace(
        cluster,
        steps=tuple(
            replace(step, state=StepState.CANCELLED, ended_at=now)
            if step.state is StepState.PENDING
            else step
            for step in cluster.steps
        ),
    )


def _change(cluster: Cluster, step_id: StepId, change: Callable[[Step], Step]) -> Cluster:
    return replace(
        cluster,
        steps=tuple(change(step) if step.step_id == step_id else step for step in cluster.steps),
    )
