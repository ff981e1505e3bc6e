"""The instances of a cluster: its primary, core and task groups, or fleets of several types.

Sources: https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-instance-fleet.html and
https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-storage.html
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from trainyard.portfolio.rules import Value, keys, refuse, says

_INSTANCE_SIZE = r"(nano|micro|small|medium|large|[0-9]*xlarge|metal(-[0-9]+xl)?)"
_INSTANCE_TYPE = rf"^[a-z][a-z0-9-]*[0-9][a-z0-9-]*\.{_INSTANCE_SIZE}$"
# EMR takes as many of a fleet where it has an allocation strategy, and ours always has
_MOST_ALTERNATIVES = 29
_WITH_IOPS = ("gp3", "io1")

InstanceTypeName = Annotated[
    str, Field(pattern=_INSTANCE_TYPE, json_schema_extra=says("an EC2 instance type such as m7g.xlarge"))
]


class Volumes(Value):
    """EBS volumes of each instance, beside its root volume and its own disks."""

    volume_type: Literal["gp3", "gp2", "io1", "st1", "sc1", "standard"] = Field(
        default="gp3", description="EBS volume type."
    )
    size_gb: int = Field(ge=1, le=16_384, description="GiB of each volume.")
    volumes_per_instance: int = Field(default=1, ge=1, le=23, description="How many each instance gets.")
    iops: int | None = Field(
        default=None,
        validate_default=True,
        ge=100,
        le=64_000,
        description="I/O operations a second; gp3 and io1 only, io1 needs it.",
    )
    throughput_mb: int | None = Field(
        default=None, ge=125, le=1_000, description="MiB a second; gp3 only. null: what the type has anyway."
    )

    @field_validator("iops")
    @classmethod
    def _iops_fit(cls, iops: int | None, info: ValidationInfo) -> int | None:
        kind = info.data.get("volume_type")
        if iops is not None and kind not in _WITH_IOPS:
            raise refuse(f"null, since {kind} volumes have no iops to choose; {' and '.join(_WITH_IOPS)} do")
        if iops is None and kind == "io1":
            raise refuse("a whole number from 100 to 64000, which io1 volumes need")
        return iops

    @field_validator("throughput_mb")
    @classmethod
    def _throughput_fits(cls, throughput: int | None, info: ValidationInfo) -> int | None:
        kind = info.data.get("volume_type")
        if throughput is not None and kind != "gp3":
            raise refuse(f"null, since {kind} volumes have no throughput to choose; gp3 do")
        return throughput


class Spot(Value):
    """How a fleet gets its spot instances, and what becomes of those it cannot get."""

    timeout_minutes: int = Field(
        default=20, ge=5, le=1_440, description="Minutes for spot capacity to be found while provisioning."
    )
    timeout_action: Literal["SWITCH_TO_ON_DEMAND", "TERMINATE_CLUSTER"] = Field(
        default="SWITCH_TO_ON_DEMAND", description="What happens when they have passed."
    )
    allocation_strategy: Literal[
        "price-capacity-optimized",
        "capacity-optimized",
        "capacity-optimized-prioritized",
        "lowest-price",
        "diversified",
    ] = Field(
        default="price-capacity-optimized",
        description="How spot types are chosen; prioritized: in the order they are written.",
    )


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise refuse(f"each instance type once, unlike {name}")
    return names


class InstanceGroup(Value):
    """Instances with one role in a cluster: a group of one type, or a fleet of several."""

    instance_type: InstanceTypeName = Field(description="EC2 instance type; of a fleet, its first choice.")
    alternatives: Annotated[
        tuple[InstanceTypeName, ...], Field(max_length=_MOST_ALTERNATIVES), AfterValidator(_each_once)
    ] = Field(
        default=(),
        json_schema_extra=says(f"a list of at most {_MOST_ALTERNATIVES} other EC2 instance types"),
        description="Types to take where that one is not to be had, best first; fleets only.",
    )
    count: int = Field(
        ge=1, le=2_000, description="How many; of a fleet, how much capacity, counted by weights."
    )
    market: Literal["ON_DEMAND", "SPOT"] = Field(
        default="ON_DEMAND",
        description="Spot costs less and may be taken away; the training then gets a fresh cluster.",
    )
    ebs: Volumes | None = Field(
        default=None, description="EBS volumes of each instance; null: EMR's own for the type."
    )
    spot: Spot | None = Field(
        default=None,
        description="How a spot fleet gets its instances; null: each of its fields has its default.",
    )
    on_demand_allocation_strategy: Literal["lowest-price", "prioritized"] | None = Field(
        default=None,
        description="How a fleet's on-demand types are chosen; prioritized: in the order they are written. null:"
        " lowest-price.",
    )

    @field_validator("alternatives")
    @classmethod
    def _others(cls, alternatives: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("instance_type") in alternatives:
            raise refuse(f"types other than instance_type, which is {info.data['instance_type']} already")
        return alternatives

    @field_validator("spot")
    @classmethod
    def _of_spot_instances(cls, spot: Spot | None, info: ValidationInfo) -> Spot | None:
        if spot is not None and info.data.get("market") == "ON_DEMAND":
            raise refuse("null, since market is ON_DEMAND and there are no spot instances")
        return spot

    @property
    def instance_types(self) -> tuple[str, ...]:
        """All types it may have, best first."""
        return (self.instance_type, *self.alternatives)

    @property
    def needs_fleet(self) -> bool:
        """Whether it asks for what only an instance fleet can give."""
        return bool(self.alternatives or self.spot or self.on_demand_allocation_strategy)

    @property
    def on_demand_capacity(self) -> int:
        """Units of its capacity that are on-demand from the first."""
        return self.count if self.market == "ON_DEMAND" else 0

    def weight(self, instance_type: str) -> int:  # noqa: ARG002 (workers have weights)
        """Units of capacity that one instance of the type is."""
        return 1


class PrimaryGroup(InstanceGroup):
    """The one instance that leads the cluster."""

    count: Literal[1] = Field(default=1, description="A training's cluster has one leader.")


class WorkerGroup(InstanceGroup):
    """The instances that learn."""

    weights: dict[InstanceTypeName, Annotated[int, Field(ge=1, le=999)]] = Field(
        default={},
        json_schema_extra=keys(
            {"pattern": _INSTANCE_TYPE, **says("an EC2 instance type such as m7g.xlarge")}
        ),
        description="Units of capacity that one instance of a type is; a type that is not named is 1. Fleets only.",
    )
    on_demand_count: int = Field(
        default=0, ge=0, description="Of a spot fleet's count, the part that is on-demand from the first."
    )

    @field_validator("weights")
    @classmethod
    def _weights_of_its_types(cls, weights: dict[str, int], info: ValidationInfo) -> dict[str, int]:
        known = (info.data.get("instance_type"), *info.data.get("alternatives", ()))
        for name in weights:
            if None not in known and name not in known:
                raise refuse(f"types of this fleet, {', '.join(map(str, known))}, unlike {name}")
        return weights

    @field_validator("on_demand_count")
    @classmethod
    def _part_of_a_spot_fleet(cls, on_demand_count: int, info: ValidationInfo) -> int:
        count, market = info.data.get("count"), info.data.get("market")
        if on_demand_count and market == "ON_DEMAND":
            raise refuse("0, since market is ON_DEMAND and all of them are")
        if count is not None and on_demand_count > count:
            raise refuse(f"a whole number of at most {count}, the count")
        return on_demand_count

    @property
    def needs_fleet(self) -> bool:
        return bool(super().needs_fleet or self.weights or self.on_demand_count)

    @property
    def on_demand_capacity(self) -> int:
        return self.count if self.market == "ON_DEMAND" else self.on_demand_count

    def weight(self, instance_type: str) -> int:
        return self.weights.get(instance_type, 1)
