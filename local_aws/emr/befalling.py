"""What the faults in force do to clusters and steps: a cluster, the faults and the time in, the cluster after out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from local_aws.emr import lifecycle
from local_aws.emr.nodes import count_nodes, end_by_loss
from local_aws.emr.values import Cluster, Failure, NodeLoss, NoInstances, Step, StepPlan
from local_aws.faults.book import FaultBook
from local_aws.faults.kinds import FailBootstrap, FailStep, HangStep, ListLag, LoseNode, NoCapacity, Simulate

# a tag that makes one cluster's steps end after so many seconds, without being run
SIMULATE_TAG = "local_aws:simulate_seconds"


def deny_instances(cluster: Cluster, faults: FaultBook, now: datetime) -> Cluster:
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
    gives_up_at = None if seconds is None else now + timedelta(seconds=seconds)
    return replace(cluster, no_instances=NoInstances(fault_id, fault.market, gives_up_at))


def without_instances(cluster: Cluster, faults: FaultBook, now: datetime) -> Cluster:
    """A cluster that had none a moment ago: it gets them, goes on waiting, or EMR gives up."""
    denied = cluster.no_instances
    if denied is None:
        return cluster
    if denied.gives_up_at is not None and now >= denied.gives_up_at:
        return lifecycle.terminate(cluster, lifecycle.NO_CAPACITY, now)
    return cluster if faults.stands(denied.fault_id, now) else replace(cluster, no_instances=None)


def denied_until(denied: NoInstances, faults: FaultBook) -> datetime | None:
    """When a cluster without instances is to be looked at again."""
    times = [time for time in (denied.gives_up_at, faults.stands_until(denied.fault_id)) if time]
    return min(times, default=None)


def fail_bootstrap(cluster: Cluster, faults: FaultBook, now: datetime) -> Cluster:
    hit = faults.hit_cluster(FailBootstrap, now, cluster=cluster.name)
    return cluster if hit is None else replace(cluster, bootstrap_exit_code=hit[1].exit_code)


def lose_nodes(cluster: Cluster, faults: FaultBook, now: datetime) -> Cluster:
    """Plan the losses that newly hit the cluster, and take the nodes whose time has come."""
    while loss := _new_loss(cluster, faults, now):
        cluster = replace(cluster, losses=(*cluster.losses, loss))
    for loss in cluster.losses:
        if not loss.happened and loss.at <= now:
            cluster = lifecycle.lose_nodes(cluster, loss, end_by_loss(cluster, loss), now)
    return cluster


def as_listed(clusters: Sequence[Cluster], faults: FaultBook, now: datetime) -> list[Cluster]:
    """The clusters as ListClusters shows them, where its answers lag behind."""
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
    if faults.hit_step(HangStep, now, cluster=cluster.name, step=step.name):
        return StepPlan(None)
    failing = faults.hit_step(FailStep, now, cluster=cluster.name, step=step.name)
    if failing is not None:
        failure = Failure(failing.reason, failing.message, failing.log_file)
        return StepPlan(failing.after_seconds, failure)
    return step.plan


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
