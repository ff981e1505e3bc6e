"""The machines of a cluster: its instance groups or fleets, and the instances in them.

Nothing is rented: groups, fleets and instances follow from the request, the cluster's state and the nodes that
were lost.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from local_aws.emr.values import Cluster, ClusterState, NodeLoss

ANY = "ANY"
CLUSTER_TERMINATED = ("CLUSTER_TERMINATED", "Cluster was terminated")
TAKEN_BACK = ("INSTANCE_FAILURE", "Instance was terminated by EC2")

_NODE_STATES = {
    ClusterState.STARTING: "PROVISIONING",
    ClusterState.BOOTSTRAPPING: "BOOTSTRAPPING",
    ClusterState.RUNNING: "RUNNING",
    ClusterState.WAITING: "RUNNING",
    ClusterState.TERMINATING: "RUNNING",
}


@dataclass(frozen=True)
class Purchase:
    """Instances of one type, bought in one market.

    :param units: what one instance counts for in its fleet's target capacity
    """

    instance_type: str
    market: str
    count: int
    units: int = 1


@dataclass(frozen=True)
class Collection:
    """An instance group or an instance fleet, as it was asked for, and what is bought for it."""

    collection_id: str
    role: str
    request: Mapping[str, Any]
    purchases: tuple[Purchase, ...]

    def units(self, market: str) -> int:
        return sum(bought.count * bought.units for bought in self.purchases if bought.market == market)


@dataclass(frozen=True)
class Node:
    """One instance. :param ended: the reason's code and message, of one that is no more"""

    instance_id: str
    ec2_instance_id: str
    collection: Collection
    instance_type: str
    market: str
    state: str
    created_at: datetime
    ready_at: datetime | None = None
    ended_at: datetime | None = None
    ended: tuple[str, str] | None = None


def has_fleets(cluster: Cluster) -> bool:
    return bool(cluster.request["Instances"].get("InstanceFleets"))


def instance_groups(instances: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The instance groups asked for, also where they were asked for in the older three members."""
    if instances.get("InstanceGroups"):
        return list(instances["InstanceGroups"])
    count = int(instances.get("InstanceCount", 1))
    primary = {
        "InstanceRole": "MASTER",
        "InstanceType": instances.get("MasterInstanceType"),
        "InstanceCount": 1,
    }
    if count == 1:
        return [primary]
    worker = instances.get("SlaveInstanceType") or instances.get("MasterInstanceType")
    return [primary, {"InstanceRole": "CORE", "InstanceType": worker, "InstanceCount": count - 1}]


def collections(cluster: Cluster) -> tuple[Collection, ...]:
    """In the order in which they were asked for."""
    prefix, role = ("if", "InstanceFleetType") if has_fleets(cluster) else ("ig", "InstanceRole")
    return tuple(
        Collection(_collection_id(cluster, prefix, position), request[role], request, bought)
        for position, (request, bought) in enumerate(_bought(cluster))
    )


def purchases(cluster: Cluster) -> list[Purchase]:
    """All that is bought for the cluster."""
    return [purchase for _, bought in _bought(cluster) for purchase in bought]


def count_nodes(cluster: Cluster, *, role: str = ANY, market: str = ANY) -> int:
    return sum(
        purchase.count
        for request, bought in _bought(cluster)
        for purchase in bought
        if role in (ANY, request.get("InstanceRole"), request.get("InstanceFleetType"))
        and market in (ANY, purchase.market)
    )


def nodes(cluster: Cluster, now: datetime) -> list[Node]:
    """Every instance the cluster has or had: the first ones, and those that replaced lost ones."""
    state = "AWAITING_FULFILLMENT" if cluster.no_instances else _NODE_STATES.get(cluster.state, "RUNNING")
    created = cluster.bootstrapping_since or cluster.created_at
    found = [
        replace(node, state=state, created_at=created, ready_at=cluster.ready_at)
        for node in _first_nodes(cluster)
    ]
    for number, loss in enumerate(loss for loss in cluster.losses if loss.happened):
        found = _without(found, cluster, loss, number, now)
    if not cluster.state.is_over:
        return found
    return [
        node
        if node.ended
        else replace(node, state="TERMINATED", ended=CLUSTER_TERMINATED, ended_at=cluster.ended_at)
        for node in found
    ]


def primary_instance_id(cluster: Cluster) -> str:
    """EC2's id of the (first) primary node."""
    return next(node.ec2_instance_id for node in _first_nodes(cluster) if node.collection.role == "MASTER")


def end_by_loss(cluster: Cluster, loss: NodeLoss, now: datetime) -> str | None:
    """Why the cluster cannot go on without these nodes; None where EMR replaces them.

    The primary node's end is the cluster's, unless there are three; and so is the end of all core nodes. Nodes that
    are to replace lost ones are no help before they are ready.
    Source: https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-instances-guidelines.html,
    https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-cluster-NO_SLAVE_LEFT-FAILED_BY_MASTER.html
    """
    there = [
        node
        for node in nodes(cluster, now)
        if node.collection.role == loss.role and node.state == "RUNNING" and node.ended is None
    ]
    hit = sum(loss.market in (ANY, node.market) for node in there)
    left = len(there) - (hit if loss.nodes is None else min(loss.nodes, hit))
    if loss.role == "MASTER" and left < 2:
        return "The master node was terminated: EC2 took the instance back."
    if loss.role == "CORE" and left == 0:
        return "NO_SLAVE_LEFT: All core nodes were terminated: EC2 took the instances back."
    return None


def _bought(cluster: Cluster) -> Iterator[tuple[Mapping[str, Any], tuple[Purchase, ...]]]:
    """Each group or fleet that was asked for, and what is bought for it."""
    instances = cluster.request["Instances"]
    if has_fleets(cluster):
        for fleet in instances["InstanceFleets"]:
            yield fleet, _bought_for_fleet(fleet, on_demand_instead=cluster.on_demand_instead)
        return
    for group in instance_groups(instances):
        market = group.get("Market", "ON_DEMAND")
        yield group, (Purchase(group["InstanceType"], market, int(group["InstanceCount"])),)


def _bought_for_fleet(fleet: Mapping[str, Any], *, on_demand_instead: bool) -> tuple[Purchase, ...]:
    """Whole instances until the target is reached, even if that is more than the target.

    All are of one type here: the one of the highest priority, else the first listed.
    Source: https://docs.aws.amazon.com/emr/latest/APIReference/API_InstanceFleetConfig.html
    """
    kind = min(fleet["InstanceTypeConfigs"], key=lambda config: config.get("Priority", math.inf))
    units = max(1, int(kind.get("WeightedCapacity", 1)))
    targets = {
        "ON_DEMAND": int(fleet.get("TargetOnDemandCapacity", 0)),
        "SPOT": int(fleet.get("TargetSpotCapacity", 0)),
    }
    if on_demand_instead:
        targets = {"ON_DEMAND": targets["ON_DEMAND"] + targets["SPOT"], "SPOT": 0}
    return tuple(
        Purchase(kind["InstanceType"], market, math.ceil(target / units), units)
        for market, target in targets.items()
        if target
    )


def _first_nodes(cluster: Cluster) -> Iterator[Node]:
    for collection in collections(cluster):
        for bought in collection.purchases:
            for number in range(bought.count):
                name = f"{cluster.cluster_id}/{collection.collection_id}/{bought.market}/{number}"
                yield _node(name, collection, bought.instance_type, bought.market, cluster.created_at)


def _without(found: list[Node], cluster: Cluster, loss: NodeLoss, number: int, now: datetime) -> list[Node]:
    """The nodes after a loss, those that take the lost ones' place among them."""
    hit = [
        node
        for node in found
        if node.ended is None and node.collection.role == loss.role and loss.market in (ANY, node.market)
    ]
    taken = {node.instance_id for node in (hit if loss.nodes is None else hit[: loss.nodes])}
    left = [
        replace(node, state="TERMINATED", ended=TAKEN_BACK, ended_at=loss.at)
        if node.instance_id in taken
        else node
        for node in found
    ]
    if loss.replaced_at is None:
        return left
    ready = loss.replaced_at <= now
    new = [
        replace(
            _node(
                f"{cluster.cluster_id}/{number}/{node.instance_id}",
                node.collection,
                node.instance_type,
                node.market,
                loss.at,
            ),
            state="RUNNING" if ready else "PROVISIONING",
            ready_at=loss.replaced_at if ready else None,
        )
        for node in found
        if node.instance_id in taken
    ]
    return left + new


def _node(name: str, collection: Collection, instance_type: str, market: str, created_at: datetime) -> Node:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return Node(
        instance_id=f"ci-{digest[:13].upper()}",
        ec2_instance_id=f"i-{digest[:17]}",
        collection=collection,
        instance_type=instance_type,
        market=market,
        state="PROVISIONING",
        created_at=created_at,
    )


def _collection_id(cluster: Cluster, prefix: str, position: int) -> str:
    digest = hashlib.sha256(f"{cluster.cluster_id}/{position}".encode()).hexdigest()
    return f"{prefix}-{digest[:13].upper()}"
