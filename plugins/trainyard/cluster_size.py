"""A cluster's settings → what it takes of the account's limits, at its largest."""

from __future__ import annotations

from trainyard.instances import Prices
from trainyard.ledger import Limits
from trainyard.portfolio import Cluster, InstanceGroup


def most_vcpus(cluster: Cluster, prices: Prices) -> int:
    """vCPUs of the cluster with every type EMR may choose and as many workers as EMR may add.

    :raises trainyard.instances.UnknownInstanceTypeError: a type is in no table
    """
    primary = _most(cluster.primary, cluster.primary.count, prices)
    workers = [group for group in (cluster.core, cluster.task) if group is not None]
    begun = sum(_most(group, group.count, prices) for group in workers)
    if cluster.managed_scaling is None:
        return primary + begun
    grown = max(_most(group, cluster.managed_scaling.maximum, prices) for group in workers)
    return primary + max(begun, grown)


def never_fits(cluster: Cluster, *, limits: Limits, prices: Prices) -> str | None:
    """Why a cluster could never be launched under the limits; none where it could."""
    if limits.max_vcpus is None:
        return None
    vcpus = most_vcpus(cluster, prices)
    if vcpus <= limits.max_vcpus:
        return None
    return f"its cluster has up to {vcpus} vCPUs, and max_vcpus of trainyard_account is {limits.max_vcpus}"


def _most(group: InstanceGroup, capacity: int, prices: Prices) -> int:
    """EMR may fill a fleet's capacity with any of its types, the last instance of which may exceed it.

    It fills the on-demand and the spot part each by itself. How it splits what it adds nobody knows; one unit in one
    part and the rest in the other makes the most instances.
    """
    on_demand = group.on_demand_capacity
    parts: tuple[int, ...] = (capacity,)
    if on_demand not in {0, group.count}:
        parts = (on_demand, capacity - on_demand) if capacity == group.count else (1, capacity - 1)
    return sum(_most_of_part(group, part, prices) for part in parts)


def _most_of_part(group: InstanceGroup, capacity: int, prices: Prices) -> int:
    return max(
        -(-capacity // group.weight(name)) * prices.instance_type(name).vcpus for name in group.instance_types
    )
