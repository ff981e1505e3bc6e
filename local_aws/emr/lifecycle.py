"""The life of one cluster: pure functions from a cluster and a time to the next cluster.

States and who follows whom: https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-overview.html (the
cluster's life cycle) and https://docs.aws.amazon.com/emr/latest/APIReference/API_ClusterStatus.html; reason codes:
https://docs.aws.amazon.com/emr/latest/APIReference/API_ClusterStateChangeReason.html. Below, each transition names
the page it follows by its last part. Messages are those that EMR is seen to give. Who may move on when (slots,
waiting times) is decided in `control_plane`; a cluster's steps are in `step_life`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from local_aws.emr.nodes import primary_instance_id, purchases
from local_aws.emr.values import (
    Cluster,
    ClusterState,
    ErrorDetail,
    NodeLoss,
    NoInstances,
    Past,
    Reason,
    StepState,
)

ALL_STEPS_COMPLETED = Reason("ALL_STEPS_COMPLETED", "Steps completed")
# a cluster whose failed steps said CONTINUE ends as TERMINATED, yet with this code
STEPS_COMPLETED_WITH_ERRORS = Reason("STEP_FAILURE", "Steps completed with errors")
STEP_FAILURE = Reason("STEP_FAILURE", "Shut down as step failed")
USER_REQUEST = Reason("USER_REQUEST", "Terminated by user request")
FLEET_TIMEOUT = Reason(
    "INSTANCE_FLEET_TIMEOUT", "Spot capacity was not provisioned within the timeout of the instance fleet"
)
JOB_TERMINATED = Reason(None, "Job terminated")
NO_REASON = Reason()

# of a cluster's history; a cluster that is kept alive goes to and fro for ever
STATES_KEPT = 20

_UNFINISHED = (StepState.PENDING, StepState.RUNNING, StepState.CANCEL_PENDING)
_DOCS = "https://docs.aws.amazon.com/emr/latest/ManagementGuide"


def bootstrap(cluster: Cluster, now: datetime) -> Cluster:
    """The instances are there: STARTING becomes BOOTSTRAPPING (emr-overview.html).

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
    """BOOTSTRAPPING becomes RUNNING, also where there is no step to run yet (emr-overview.html)."""
    return replace(cluster, state=ClusterState.RUNNING, reason=Reason(None, "Running step"), ready_at=now)


def settle(cluster: Cluster, now: datetime) -> Cluster:
    """Where nothing is left to run: WAITING if the cluster is kept alive, else TERMINATING.

    API_JobFlowInstancesConfig.html (KeepJobFlowAliveWhenNoSteps), emr-longrunning-transient.html.
    """
    if cluster.steps_in(*_UNFINISHED):
        return cluster
    if cluster.state is ClusterState.WAITING:
        # a wait for a slot that was called off: it is idle only from now on
        waited = cluster.wants_slot_since is not None
        return replace(cluster, wants_slot_since=None, idle_since=now) if waited else cluster
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
            idle_since=now,
        )
    failed = cluster.steps_in(StepState.FAILED)
    return terminate(cluster, STEPS_COMPLETED_WITH_ERRORS if failed else ALL_STEPS_COMPLETED, now)


def terminate(cluster: Cluster, reason: Reason, now: datetime) -> Cluster:
    """To TERMINATING: pending steps are cancelled, the slot is kept until the processes are gone.

    API_TerminateJobFlows.html: "any step not yet completed is canceled".
    """
    if not cluster.state.takes_changes:
        return cluster
    steps = tuple(
        replace(step, state=StepState.CANCELLED, reason=JOB_TERMINATED, ended_at=now)
        # a running step that has no process ends at once
        if step.state is StepState.PENDING or (step.state.is_under_way and step.plan is not None)
        else step
        for step in cluster.steps
    )
    return replace(
        cluster,
        steps=steps,
        state=ClusterState.TERMINATING,
        reason=reason,
        no_instances=None,
        wants_slot_since=None,
        idle_since=None,
        terminating_since=now,
    )


def finish(cluster: Cluster, now: datetime) -> Cluster:
    """TERMINATING is over: TERMINATED, or TERMINATED_WITH_ERRORS where an error ended it (emr-overview.html)."""
    ends_well = (ALL_STEPS_COMPLETED, STEPS_COMPLETED_WITH_ERRORS)
    well = cluster.reason in ends_well or cluster.reason.code == USER_REQUEST.code
    state = ClusterState.TERMINATED if well else ClusterState.TERMINATED_WITH_ERRORS
    # of a step whose end was never reported, nothing more will be heard
    steps = tuple(
        replace(step, state=StepState.CANCELLED, reason=JOB_TERMINATED, ended_at=now)
        if step.state.is_under_way
        else step
        for step in cluster.steps
    )
    return replace(cluster, steps=steps, state=state, ended_at=now, has_slot=False, runs_bootstrap=False)


def fail_bootstrap(cluster: Cluster, now: datetime) -> Cluster:
    """A bootstrap action ended with an exit code other than 0 (emr-plan-bootstrap.html).

    Its details: BOOTSTRAP_FAILURE_PRIMARY_WITH_NON_ZERO_CODE.html.
    """
    code, number = str(cluster.bootstrap_exit_code), cluster.bootstrap_action
    node = primary_instance_id(cluster)
    scripts = [
        action["ScriptBootstrapAction"]["Path"] for action in cluster.request.get("BootstrapActions") or ()
    ]
    message = (
        f"On the master instance ({node}), bootstrap action {number} returned a non-zero return code: {code}"
    )
    page = f"{_DOCS}/BOOTSTRAP_FAILURE_PRIMARY_WITH_NON_ZERO_CODE.html"
    data = {
        "primary-instance-id": node,
        "bootstrap-action": str(number),
        "return-code": code,
        "amazon-s3-path": scripts[number - 1] if scripts else "",
        "public-doc": page,
    }
    error = ErrorDetail("BOOTSTRAP_FAILURE_PRIMARY_WITH_NON_ZERO_CODE", message, tuple(data.items()))
    return terminate(cluster, Reason("BOOTSTRAP_FAILURE", message, error), now)


def give_up_on_capacity(cluster: Cluster, now: datetime) -> Cluster:
    """EC2 has no instances, and EMR ends the cluster (INTERNAL_ERROR_EC2_INSUFFICIENT_CAPACITY_AZ.html)."""
    bought = purchases(cluster)
    market = cluster.no_instances.market if cluster.no_instances else None
    lacking = next((b.instance_type for b in bought if b.market == market), bought[0].instance_type)
    message = f"EC2 is out of capacity for the instance type {lacking} in the Availability Zone."
    page = f"{_DOCS}/INTERNAL_ERROR_EC2_INSUFFICIENT_CAPACITY_AZ.html"
    zone = (cluster.request["Instances"].get("Placement") or {}).get("AvailabilityZone", "")
    data = {"instance-type": lacking, "availability-zone": zone, "public-doc": page}
    error = ErrorDetail("INTERNAL_ERROR_EC2_INSUFFICIENT_CAPACITY_AZ", message, tuple(data.items()))
    return terminate(cluster, Reason("INTERNAL_ERROR", message, error), now)


def exceed_quota(cluster: Cluster, now: datetime) -> Cluster:
    """EC2 refuses more vCPUs than the account's quota, and EMR ends the cluster (API_ClusterStateChangeReason.html)."""
    message = (
        "You have requested more vCPU capacity than your current vCPU limit allows for the instance bucket that "
        "the specified instance type belongs to."
    )
    return terminate(cluster, Reason("VALIDATION_ERROR", message), now)


def time_out_fleet(cluster: Cluster, denied: NoInstances, now: datetime) -> Cluster:
    """The provisioning timeout of an instance fleet is over: its action is taken.

    emr-provisioning-timeout-launch.html, API_SpotProvisioningSpecification.html (TimeoutAction).
    """
    if denied.timeout_action == "TERMINATE_CLUSTER":
        return terminate(cluster, FLEET_TIMEOUT, now)
    # On-Demand instances take the place of the Spot ones; where EC2 has none of those either, it goes on waiting
    still = replace(denied, times_out_at=None, timeout_action=None) if denied.market == "ANY" else None
    return replace(cluster, on_demand_instead=True, no_instances=still)


def lose_nodes(cluster: Cluster, loss: NodeLoss, ended_by: str | None, now: datetime) -> Cluster:
    """Nodes are gone; `ended_by` says why the cluster cannot go on without them, if it cannot.

    emr-plan-instances-guidelines.html, emr-spot-instances pages: EMR replaces lost core and task nodes.
    """
    losses = tuple(loss if known.fault_id == loss.fault_id else known for known in cluster.losses)
    lost = replace(cluster, losses=losses)
    return lost if ended_by is None else terminate(lost, Reason("INSTANCE_FAILURE", ended_by), now)


def end_idle(cluster: Cluster, now: datetime) -> Cluster:
    """The auto-termination policy's idle time is over (emr-auto-termination-policy.html)."""
    message = f"Cluster was idle for {cluster.idle_timeout_seconds} seconds: terminated by its auto-termination policy"
    return terminate(cluster, Reason(USER_REQUEST.code, message), now)


def lose(cluster: Cluster, message: str, now: datetime) -> Cluster:
    """To TERMINATING, with nothing left to stop: the machine under the cluster went away. `finish` follows at once."""
    if cluster.state.is_over:
        return cluster
    reason = Reason("INTERNAL_ERROR", message)
    interrupted = tuple(
        replace(step, state=StepState.INTERRUPTED, reason=Reason(None, message), ended_at=now)
        if step.state.is_under_way
        else step
        for step in cluster.steps
    )
    return replace(terminate(replace(cluster, steps=interrupted), reason, now), reason=reason)


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
