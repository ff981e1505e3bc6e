"""A cluster's instances as RunJobFlow has them: groups of one type each, or fleets of several."""

from __future__ import annotations

from typing import Any

from trainyard.portfolio import Cluster, InstanceGroup
from trainyard.portfolio.instances import Spot, Volumes


def instances(cluster: Cluster) -> dict[str, Any]:
    """The request's ``Instances``."""
    fleets = cluster.instances == "fleets"
    request: dict[str, Any] = {
        "InstanceFleets" if fleets else "InstanceGroups": [
            _fleet(role, group) if fleets else _group(role, group) for role, group in cluster.groups.items()
        ],
        # the cluster ends after its step, with or without Airflow
        "KeepJobFlowAliveWhenNoSteps": False,
        "TerminationProtected": False,
    }
    if cluster.key_name:
        request["Ec2KeyName"] = cluster.key_name
    return request | _network(cluster)


def managed_scaling(cluster: Cluster) -> dict[str, Any] | None:
    """The request's ``ManagedScalingPolicy``; none where the number of workers stays."""
    scaling = cluster.managed_scaling
    if scaling is None:
        return None
    limits = {
        "UnitType": "InstanceFleetUnits" if cluster.instances == "fleets" else "Instances",
        "MinimumCapacityUnits": scaling.minimum,
        "MaximumCapacityUnits": scaling.maximum,
    }
    if scaling.maximum_core is not None:
        limits["MaximumCoreCapacityUnits"] = scaling.maximum_core
    if scaling.maximum_on_demand is not None:
        limits["MaximumOnDemandCapacityUnits"] = scaling.maximum_on_demand
    return {"ComputeLimits": limits}


def _network(cluster: Cluster) -> dict[str, Any]:
    groups = cluster.security_groups
    network: dict[str, Any] = {
        "EmrManagedMasterSecurityGroup": groups.primary,
        "EmrManagedSlaveSecurityGroup": groups.workers,
        "ServiceAccessSecurityGroup": groups.service_access,
        "AdditionalMasterSecurityGroups": list(groups.additional_primary),
        "AdditionalSlaveSecurityGroups": list(groups.additional_workers),
    }
    if cluster.instances == "fleets":
        network["Ec2SubnetIds"] = list(cluster.subnet_ids)
    elif cluster.subnet_ids:
        network["Ec2SubnetId"] = cluster.subnet_ids[0]
    return {member: value for member, value in network.items() if value}


def _group(role: str, group: InstanceGroup) -> dict[str, Any]:
    request: dict[str, Any] = {
        "InstanceRole": role,
        "InstanceType": group.instance_type,
        "InstanceCount": group.count,
        "Market": group.market,
    }
    return request | _ebs(group.ebs)


def _fleet(role: str, group: InstanceGroup) -> dict[str, Any]:
    on_demand = group.on_demand_capacity
    return {
        "InstanceFleetType": role,
        "TargetOnDemandCapacity": on_demand,
        "TargetSpotCapacity": group.count - on_demand,
        "InstanceTypeConfigs": [
            {"InstanceType": name, "WeightedCapacity": group.weight(name)}
            # only the prioritized strategies have priorities; 0 comes first
            | ({"Priority": float(place)} if _prioritized(group) else {})
            | _ebs(group.ebs)
            for place, name in enumerate(group.instance_types)
        ],
        "LaunchSpecifications": {
            "OnDemandSpecification": {
                "AllocationStrategy": group.on_demand_allocation_strategy or "lowest-price"
            },
            **({"SpotSpecification": _spot(group.spot or Spot())} if on_demand < group.count else {}),
        },
    }


def _prioritized(group: InstanceGroup) -> bool:
    spot = group.spot or Spot()
    return "prioritized" in (
        group.on_demand_allocation_strategy,
        spot.allocation_strategy.removeprefix("capacity-optimized-"),
    )


def _spot(spot: Spot) -> dict[str, Any]:
    return {
        "TimeoutDurationMinutes": spot.timeout_minutes,
        "TimeoutAction": spot.timeout_action,
        "AllocationStrategy": spot.allocation_strategy,
    }


def _ebs(volumes: Volumes | None) -> dict[str, Any]:
    if volumes is None:
        return {}
    specification: dict[str, Any] = {"VolumeType": volumes.volume_type, "SizeInGB": volumes.size_gb}
    if volumes.iops is not None:
        specification["Iops"] = volumes.iops
    if volumes.throughput_mb is not None:
        specification["Throughput"] = volumes.throughput_mb
    return {
        "EbsConfiguration": {
            "EbsBlockDeviceConfigs": [
                {"VolumeSpecification": specification, "VolumesPerInstance": volumes.volumes_per_instance}
            ]
        }
    }
