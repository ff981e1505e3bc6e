"""What the faults in force do to clusters and steps: a cluster, the faults and the time in, the cluster after out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from local_aws.emr import lifecycle
from local_aws.emr.nodes import count_nodes, end_by_loss
from local_aws.emr.values import Cluster, Failure, NodeLoss, NoInstances, Step, StepPlan
from local_aws.faults.book import FaultBook
from local_aws.faults.kinds import (
    FailBootstrap,
    FailStep,
    ListLag,
    LoseNode,
    NoCapacity,
    Simulate,
    StepEndFault,
)

# a tag that makes one cluster's steps end after so many seconds, without being run
SIMULATE_TAG = "local_aws:simulate_seconds"


def deny_instances(cluster: Cluster, faults: FaultBook, speed: float, now: datetime) -> Cluster:
    """Whether EC2 has no instances for a cluster that is being made."""
    hit = faults.hit_cluster(
        NoCapacity,
        now,
        cluster=cluster.name,
        accepts=lambda _, fault: count_nodes(cluster, market=fault.market) > 0,
    )
    if hit is None:
        return cluster
    fault_id, fault = hit
    seconds = fault.gives_up_after_seconds
    denied = NoInstances(
        fault_id, fault.market, gives_up_at=None if seconds is None else now + timedelta(seconds=seconds)
    )
    timeout = None if fault.market == "ON_DEMAND" else _shortest_timeout(cluster)
    if timeout is not None:
        minutes, action = timeout
        times_out_at = now + timedelta(minutes=minutes / speed)
        denied = replace(denied, times_out_at=times_out_at, timeout_action=action)
    return replace(cluster, no_instances=denied)


def without_instances(cluster: Cluster, faults: FaultBook, now: datetime) -> Cluster:
    """A cluster that had none a moment ago: it gets them, goes on waiting, or EMR gives up."""
    denied = cluster.no_instances
    if denied is None:
        return cluster
    if not faults.stands(denied.fault_id, now):
        return replace(cluster, no_instances=None)
    if denied.times_out_at is not None and now >= denied.times_out_at:
        return lifecycle.time_out_fleet(cluster, denied, now)
    if denied.gives_up_at is not None and now >= denied.gives_up_at:
        return lifecycle.give_up_on_capacity(cluster, now)
    return cluster


def denied_until(denied: NoInstances, faults: FaultBook) -> datetime | None:
    """When a cluster without instances is to be looked at again."""
    times = (denied.gives_up_at, denied.times_out_at, faults.stands_until(denied.fault_id))
    return min((time for time in times if time), default=None)


def fail_bootstrap(cluster: Cluster, faults: FaultBook, now: datetime) -> Cluster:
    hit = faults.hit_cluster(FailBootstrap, now, cluster=cluster.name)
    return cluster if hit is None else replace(cluster, bootstrap_exit_code=hit[1].exit_code)


def lose_nodes(cluster: Cluster, faults: FaultBook, replacement: timedelta, now: datetime) -> Cluster:
    """Plan the losses that newly hit the cluster, and take the nodes whose time has come.

    :param replacement: how long new nodes take to be ready
    """
    while loss := _new_loss(cluster, faults, now):
        cluster = replace(cluster, losses=(*cluster.losses, loss))
    for loss in cluster.losses:
        if not loss.happened and loss.at <= now and cluster.state.takes_changes:
            ended_by = end_by_loss(cluster, loss, now)
            replaced_at = None if ended_by else now + replacement
            happened = replace(loss, at=now, happened=True, replaced_at=replaced_at)
            cluster = lifecycle.lose_nodes(cluster, happened, ended_by, now)
    return cluster


def as_listed(clusters: Sequence[Cluster], faults: FaultBook, now: datetime) -> list[Cluster]:
    """The clusters as ListClusters shows them, where its answers lag behind."""
    if not faults.has(ListLag, now):
        return list(clusters)
    listed: list[Cluster] = []
    for cluster in clusters:
        lag = faults.find(ListLag, now, cluster=cluster.name)
        shown = cluster
        if lag is not None:
            past = lifecycle.as_it_was(cluster, now - timedelta(seconds=lag.lag_seconds))
            if past is None:
                continue
            shown = past
        listed.append(shown)
    return listed


def simulate_step(cluster: Cluster, step: Step, faults: FaultBook, now: datetime) -> StepPlan | None:
    """How a step that is being submitted ends without being run, if it is not to be run."""
    simulated = faults.hit_step(Simulate, now, cluster=cluster.name, step=step.name)
    if simulated is not None:
        return StepPlan(simulated.step_seconds)
    seconds = dict(cluster.tags).get(SIMULATE_TAG)
    return None if seconds is None else StepPlan(float(seconds))


def plan_step(cluster: Cluster, step: Step, faults: FaultBook, now: datetime) -> StepPlan | None:
    """How a step that starts now ends without being run; None: it is run."""
    fault = faults.hit_step(StepEndFault, now, cluster=cluster.name, step=step.name)
    if isinstance(fault, FailStep):
        return StepPlan(fault.after_seconds, Failure(fault.reason, fault.message, fault.log_file))
    return step.plan if fault is None else StepPlan(None)


def _new_loss(cluster: Cluster, faults: FaultBook, now: datetime) -> NodeLoss | None:
    known = {loss.fault_id for loss in cluster.losses}

    def accepts(fault_id: str, fault: LoseNode) -> bool:
        return fault_id not in known and count_nodes(cluster, role=fault.role, market=fault.market) > 0

    hit = faults.hit_cluster(LoseNode, now, cluster=cluster.name, accepts=accepts)
    if hit is None or cluster.ready_at is None:
        return None
    fault_id, fault = hit
    return NodeLoss(
        fault_id=fault_id,
        role=fault.role,
        market=fault.market,
        nodes=None if fault.nodes == "all" else fault.nodes,
        at=max(now, cluster.ready_at + timedelta(seconds=fault.after_seconds)),
    )


def _shortest_timeout(cluster: Cluster) -> tuple[float, str] | None:
    """The provisioning timeout, in minutes, that ends first among the cluster's Spot fleets, and its action.

    Source: https://docs.aws.amazon.com/emr/latest/APIReference/API_SpotProvisioningSpecification.html
    """
    timeouts = [
        (float(spot["TimeoutDurationMinutes"]), str(spot["TimeoutAction"]))
        for fleet in cluster.request["Instances"].get("InstanceFleets") or ()
        if fleet.get("TargetSpotCapacity")
        and (spot := (fleet.get("LaunchSpecifications") or {}).get("SpotSpecification"))
    ]
    # of two that end together, the one that terminates has the last word
    return min(timeouts, key=lambda timeout: (timeout[0], timeout[1] != "TERMINATE_CLUSTER"), default=None)
