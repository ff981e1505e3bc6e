"""What EMR demands of the instances that a RunJobFlow request asks for: in groups, in fleets, or by type and count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from local_aws.emr.errors import ValidationError
from local_aws.emr.nodes import instance_groups

_MOST_TYPES_IN_A_FLEET = 30


def check_instances(instances: Mapping[str, Any]) -> None:
    """Raises ValidationError.

    Source: https://docs.aws.amazon.com/emr/latest/APIReference/API_JobFlowInstancesConfig.html
    """
    by_type = any(
        instances.get(name) for name in ("MasterInstanceType", "SlaveInstanceType", "InstanceCount")
    )
    ways = [bool(instances.get("InstanceGroups")), bool(instances.get("InstanceFleets")), by_type]
    if sum(ways) != 1:
        raise ValidationError(
            "Please configure instances using one and only one of the following: instance groups; "
            "instance fleets; instance count, master and slave instance type."
        )
    if instances.get("InstanceFleets"):
        _check_fleets(instances["InstanceFleets"])
    else:
        _check_groups(instance_groups(instances))


def _check_groups(groups: Sequence[Mapping[str, Any]]) -> None:
    if not all(group.get("InstanceType") for group in groups):
        raise ValidationError("Instances.MasterInstanceType is required where there are no instance groups.")
    _check_roles([group["InstanceRole"] for group in groups], "instance group", most={"MASTER": 1, "CORE": 1})
    for group in groups:
        allowed = (1, 3) if group["InstanceRole"] == "MASTER" else range(1, 2001)
        if group["InstanceCount"] not in allowed:
            raise ValidationError(
                f"InstanceCount {group['InstanceCount']} of the {group['InstanceRole'].lower()} instance group "
                f"is not valid: {'1 or 3' if group['InstanceRole'] == 'MASTER' else '1 to 2000'} is accepted."
            )


def _check_fleets(fleets: Sequence[Mapping[str, Any]]) -> None:
    """Source: https://docs.aws.amazon.com/emr/latest/APIReference/API_InstanceFleetConfig.html"""
    most = {"MASTER": 1, "CORE": 1, "TASK": 1}
    _check_roles([fleet["InstanceFleetType"] for fleet in fleets], "instance fleet", most=most)
    for fleet in fleets:
        role = fleet["InstanceFleetType"]
        targets = (fleet.get("TargetOnDemandCapacity", 0), fleet.get("TargetSpotCapacity", 0))
        if role == "MASTER" and sorted(targets) != [0, 1]:
            raise ValidationError(
                "The master instance fleet must have a TargetOnDemandCapacity or a TargetSpotCapacity of 1, "
                "and not both."
            )
        if not any(targets):
            raise ValidationError(
                f"The {role.lower()} instance fleet has neither TargetOnDemandCapacity nor TargetSpotCapacity: "
                f"at least one must be above 0."
            )
        _check_types(role, fleet.get("InstanceTypeConfigs") or ())
        spot = (fleet.get("LaunchSpecifications") or {}).get("SpotSpecification")
        if spot and not 5 <= spot["TimeoutDurationMinutes"] <= 1440:
            raise ValidationError(
                f"TimeoutDurationMinutes {spot['TimeoutDurationMinutes']} of the {role.lower()} instance fleet "
                f"is not valid: 5 to 1440 is accepted."
            )


def _check_types(role: str, configs: Sequence[Mapping[str, Any]]) -> None:
    if not 1 <= len(configs) <= _MOST_TYPES_IN_A_FLEET:
        raise ValidationError(
            f"The {role.lower()} instance fleet has {len(configs)} InstanceTypeConfigs: "
            f"1 to {_MOST_TYPES_IN_A_FLEET} are accepted."
        )
    for config in configs:
        weight = config.get("WeightedCapacity", 1)
        if weight < 1 or (role == "MASTER" and weight != 1):
            raise ValidationError(
                f"WeightedCapacity {weight} of {config['InstanceType']} in the {role.lower()} instance fleet is not "
                f"valid: {'1' if role == 'MASTER' else '1 or more'} is accepted."
            )


def _check_roles(roles: Sequence[str], kind: str, *, most: Mapping[str, int]) -> None:
    for role, number in most.items():
        found = roles.count(role)
        if found > number or (role == "MASTER" and not found):
            raise ValidationError(
                f"{found or 'No'} {role.lower()} {kind}s supplied, you must specify "
                f"{'exactly' if role == 'MASTER' else 'at most'} one {role.lower()} {kind}"
            )
    if "TASK" in roles and "CORE" not in roles:
        raise ValidationError("Clusters with task nodes must also define core nodes.")
