"""A cluster's settings and the account's prices → what it was asked to be made of, and from that what it cost.

The make-up goes into the ledger with the launch, prices included, so that a later change of prices changes nothing that
is past, and every reader counts the same. How it is counted:

- What was asked for counts, not what EMR made of it: of a fleet the first type that stands in it, as many as fill its
  capacity; of managed scaling the workers that it begins with. What else was possible stands beside it.
- A cluster lives from its launch to its recorded end, all of its instances as long.
- Spot instances count as on-demand ones, so theirs is an upper estimate. Portfolios declare no spot price, and EMR then
  pays at most the on-demand price; its own charge is the same.
- Not counted: volumes, storage, transfer, discounts.

Sources: https://docs.aws.amazon.com/emr/latest/APIReference/API_ClusterSummary.html (NormalizedInstanceHours),
https://aws.amazon.com/emr/faqs/ (they are rounded up to whole hours; billing by the second, at least a minute),
https://docs.aws.amazon.com/emr/latest/APIReference/API_InstanceGroupConfig.html (BidPrice)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from trainyard.instances import InstanceType, Prices, UnknownInstanceTypeError
from trainyard.portfolio import Cluster, InstanceGroup

_HOUR_SECONDS = 3600
_LEAST_BILLED_SECONDS = 60


class AskedInstances(BaseModel):
    """Instances of one role, type and market that a cluster is asked to have.

    :param role: EMR's name of it: MASTER, CORE or TASK
    :param alternatives: types that EMR may take instead, best first
    :param managed_scaling_maximum: up to how many units of workers, of both roles, EMR may go; none: it stays
    :param normalized_hours_per_hour: of one of them; none: not known
    :param ec2_usd_per_hour: of one of them on demand, by the prices of its launch; none: not known
    :param emr_usd_per_hour: EMR's charge on top of it; none: not known
    """

    model_config = ConfigDict(frozen=True)

    role: str
    instance_type: str
    count: int
    market: Literal["ON_DEMAND", "SPOT"]
    alternatives: tuple[str, ...] = ()
    managed_scaling_maximum: int | None = None
    normalized_hours_per_hour: float | None = None
    ec2_usd_per_hour: float | None = None
    emr_usd_per_hour: float | None = None


def make_up(cluster: Cluster, prices: Prices) -> tuple[AskedInstances, ...]:
    """What the cluster is asked to have, the leader first; a type that no table has is without a price."""
    return tuple(
        _asked(cluster, role, market, capacity, prices)
        for role, group in cluster.groups.items()
        for market, capacity in _capacities(group)
        if capacity
    )


def normalized_instance_hours(asked: Sequence[AskedInstances], seconds: float) -> float | None:
    """Hours of an m1.small, as EMR counts them: each hour of the cluster that has begun is a whole one.

    :param seconds: of the cluster's life; what is not positive, by clocks that differ, is a moment
    :return: none where a type has no known weight
    """
    weights = [each.normalized_hours_per_hour for each in asked]
    known = [each.count * weight for each, weight in zip(asked, weights, strict=True) if weight is not None]
    if len(known) < len(asked):
        return None
    return sum(known) * max(1, math.ceil(seconds / _HOUR_SECONDS))


def cost_usd(asked: Sequence[AskedInstances], seconds: float) -> float | None:
    """EC2's and EMR's on-demand prices, by the second, of at least a minute.

    :param seconds: of the cluster's life
    :return: none where the price of a type is not known
    """
    hours = max(_LEAST_BILLED_SECONDS, math.ceil(seconds)) / _HOUR_SECONDS
    cost = 0.0
    for each in asked:
        if each.ec2_usd_per_hour is None or each.emr_usd_per_hour is None:
            return None
        cost += each.count * (each.ec2_usd_per_hour + each.emr_usd_per_hour) * hours
    return round(cost, 6)


def _capacities(group: InstanceGroup) -> tuple[tuple[Literal["ON_DEMAND", "SPOT"], int], ...]:
    on_demand = group.on_demand_capacity
    return ("ON_DEMAND", on_demand), ("SPOT", group.count - on_demand)


def _asked(
    cluster: Cluster, role: str, market: Literal["ON_DEMAND", "SPOT"], capacity: int, prices: Prices
) -> AskedInstances:
    group, scaling = cluster.groups[role], cluster.managed_scaling
    name = group.instance_type
    priced = _priced(name, prices)
    return AskedInstances(
        role=role,
        instance_type=name,
        # the last instance of a fleet may exceed its capacity
        count=-(-capacity // group.weight(name)),
        market=market,
        alternatives=group.alternatives,
        managed_scaling_maximum=scaling.maximum if scaling is not None and role != "MASTER" else None,
        normalized_hours_per_hour=prices.normalized_hours_per_hour(name),
        ec2_usd_per_hour=priced.ec2_usd_per_hour if priced else None,
        emr_usd_per_hour=priced.emr_usd_per_hour if priced else None,
    )


def _priced(name: str, prices: Prices) -> InstanceType | None:
    try:
        return prices.instance_type(name)
    except UnknownInstanceTypeError:
        return None
