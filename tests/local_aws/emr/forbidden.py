"""What EMR's documentation forbids of clusters and steps: checks that a change, or a cluster, breaks none of it.

Pages, by their last part, of https://docs.aws.amazon.com/emr/latest/ManagementGuide/ or …/APIReference/.
"""

from __future__ import annotations

from datetime import datetime

from local_aws.emr.control_plane import MAX_UNFINISHED_STEPS
from local_aws.emr.values import Cluster, ClusterState, Step, StepState

# emr-overview.html, "Understanding the cluster lifecycle"
CLUSTER_ARROWS = {
    None: {"STARTING"},
    "STARTING": {"BOOTSTRAPPING", "TERMINATING"},
    "BOOTSTRAPPING": {"RUNNING", "TERMINATING"},
    "RUNNING": {"WAITING", "TERMINATING"},
    "WAITING": {"RUNNING", "TERMINATING"},
    "TERMINATING": {"TERMINATED", "TERMINATED_WITH_ERRORS"},
    "TERMINATED": set(),
    "TERMINATED_WITH_ERRORS": set(),
}
# API_StepStatus.html, emr-work-with-steps.html, emr-cancel-steps.html
STEP_ARROWS = {
    None: {"PENDING"},
    "PENDING": {"RUNNING", "CANCELLED"},
    "RUNNING": {"COMPLETED", "FAILED", "CANCEL_PENDING", "CANCELLED", "INTERRUPTED"},
    "CANCEL_PENDING": {"CANCELLED", "COMPLETED", "INTERRUPTED"},
    "COMPLETED": set(),
    "FAILED": set(),
    "CANCELLED": set(),
    "INTERRUPTED": set(),
}
# API_ClusterStateChangeReason.html
CODES_BY_END = {
    "TERMINATED": {"ALL_STEPS_COMPLETED", "USER_REQUEST", "STEP_FAILURE"},
    "TERMINATED_WITH_ERRORS": {
        "BOOTSTRAP_FAILURE",
        "INSTANCE_FAILURE",
        "INSTANCE_FLEET_TIMEOUT",
        "INTERNAL_ERROR",
        "STEP_FAILURE",
        "VALIDATION_ERROR",
    },
}
_UNDER_WAY = (StepState.RUNNING, StepState.CANCEL_PENDING)
_FINAL = ("COMPLETED", "FAILED", "CANCELLED", "INTERRUPTED")


def check_change(before: Cluster | None, after: Cluster, now: datetime) -> None:
    """Whether EMR's documentation knows the way from the one to the other."""
    old = before.state.value if before else None
    if old != after.state.value:
        assert after.state.value in CLUSTER_ARROWS[old], f"{old} -> {after.state.value}"
    if before is not None and before.state.is_over:
        assert (before.reason, before.ended_at, before.steps) == (after.reason, after.ended_at, after.steps)
    known = {step.step_id: step for step in before.steps} if before else {}
    for step in after.steps:
        was = known.get(step.step_id)
        if was is None or was.state is not step.state:
            _check_step_change(was, step, after)
    if before is not None and before.state.takes_changes and after.state is ClusterState.TERMINATING:
        _check_protection(before, after)


def check_cluster(cluster: Cluster, now: datetime) -> None:
    """Whether EMR's documentation allows the cluster as it is."""
    under_way = cluster.steps_in(*_UNDER_WAY)
    pending = cluster.steps_in(StepState.PENDING)
    state = cluster.state.value
    # emr-work-with-steps.html: at most 256 steps pending and running
    assert len(under_way) + len(pending) <= MAX_UNFINISHED_STEPS
    if state in ("STARTING", "BOOTSTRAPPING", "WAITING"):
        assert not under_way, f"steps run in a cluster that is {state}"
    # API_ClusterStatus.html: WAITING has no steps to run; here, also those that wait for a slot
    assert state != "WAITING" or not pending or cluster.wants_slot_since
    # emr-auto-termination-policy.html: a cluster without steps to run is idle, and its idle time passes
    assert state != "WAITING" or pending or (cluster.idle_since and not cluster.wants_slot_since)
    # API_JobFlowInstancesConfig.html: only a cluster that is kept alive waits
    assert state != "WAITING" or cluster.keeps_alive
    # API_TerminateJobFlows.html: any step not yet completed is cancelled
    assert not (pending and state in ("TERMINATING", *CODES_BY_END))
    assert not (under_way and cluster.state.is_over)
    if cluster.state.is_over:
        _check_end(cluster)
    _check_order(cluster)
    _check_timeline(cluster, now)


def _check_step_change(was: Step | None, step: Step, cluster: Cluster) -> None:
    old = was.state.value if was else None
    assert step.state.value in STEP_ARROWS[old], f"step {old} -> {step.state.value}"
    if step.state is StepState.RUNNING:
        # API_ModifyCluster.html: no more steps at once than the concurrency level
        assert len(cluster.steps_in(*_UNDER_WAY)) <= cluster.step_concurrency
        assert cluster.state is ClusterState.RUNNING, (
            f"a step starts in a cluster that is {cluster.state.value}"
        )
    if step.state is StepState.INTERRUPTED:
        assert not cluster.state.takes_changes, "a step is interrupted without its cluster"
    if old == "RUNNING" and step.state is StepState.CANCELLED:
        assert not cluster.state.takes_changes, "a running step is cancelled without having been pending"


def _check_protection(before: Cluster, after: Cluster) -> None:
    """API_SetTerminationProtection.html, UsingEMR_TerminationProtection.html."""
    if not before.termination_protected:
        return
    code = after.reason.code
    assert code != "USER_REQUEST", "a protected cluster is terminated by a request, or for being idle"
    failed_over_it = code == "STEP_FAILURE" and after.reason.message == "Shut down as step failed"
    assert not (failed_over_it and before.keeps_alive), (
        "a failed step ends a protected cluster that is kept alive"
    )


def _check_end(cluster: Cluster) -> None:
    code = cluster.reason.code
    assert code in CODES_BY_END[cluster.state.value], f"{cluster.state.value} by {code}"
    if code == "ALL_STEPS_COMPLETED":
        assert not cluster.keeps_alive
        assert not cluster.steps_in(StepState.FAILED)
    if code == "STEP_FAILURE":
        assert cluster.steps_in(StepState.FAILED)
    if code == "BOOTSTRAP_FAILURE":
        assert cluster.ready_at is None


def _check_order(cluster: Cluster) -> None:
    """emr-concurrent-steps.html: pending steps start in the order in which they were submitted."""
    waiting = False
    for step in cluster.steps:
        assert not (waiting and step.started_at and step.state in _UNDER_WAY), "a step overtook another"
        waiting = waiting or step.state is StepState.PENDING


def _check_timeline(cluster: Cluster, now: datetime) -> None:
    """API_ClusterTimeline.html, API_StepTimeline.html."""
    moments = [m for m in (cluster.created_at, cluster.ready_at, cluster.ended_at) if m]
    assert moments == sorted(moments)
    assert moments[-1] <= now
    assert (cluster.ended_at is not None) == cluster.state.is_over
    if cluster.state.value in ("RUNNING", "WAITING"):
        assert cluster.ready_at is not None
    for step in cluster.steps:
        times = [m for m in (step.created_at, step.started_at, step.ended_at) if m]
        assert times == sorted(times)
        assert (step.ended_at is not None) == (step.state.value in _FINAL), step
        # API_StepStatus.html: FailureDetails are those of a failed step
        assert (step.failure is not None) == (step.state is StepState.FAILED)
        assert step.state is not StepState.PENDING or step.started_at is None
        if step.started_at is not None:
            assert cluster.ready_at is not None
            assert cluster.ready_at <= step.started_at
