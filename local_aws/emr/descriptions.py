"""Clusters and steps in the shapes in which EMR's API shows them."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from local_aws.emr.values import Cluster, ClusterState, Reason, Step

ACCOUNT_ID = "000000000000"

_SHOWN_AS_GIVEN = (
    "LogUri",
    "LogEncryptionKmsKeyId",
    "ReleaseLabel",
    "Applications",
    "ServiceRole",
    "Configurations",
    "SecurityConfiguration",
    "AutoScalingRole",
    "ScaleDownBehavior",
    "CustomAmiId",
    "EbsRootVolumeSize",
    "EbsRootVolumeIops",
    "EbsRootVolumeThroughput",
    "RepoUpgradeOnBoot",
    "OSReleaseLabel",
)
_SHOWN_AS_ATTRIBUTES = (
    "Ec2KeyName",
    "Ec2SubnetId",
    "EmrManagedMasterSecurityGroup",
    "EmrManagedSlaveSecurityGroup",
    "ServiceAccessSecurityGroup",
    "AdditionalMasterSecurityGroups",
    "AdditionalSlaveSecurityGroups",
)
# one m1.small hour is one normalized hour; the factor follows the size in the type's name
_SIZE_FACTORS = {"small": 1, "medium": 2, "large": 4, "xlarge": 8}

_GROUP_STATES = {
    ClusterState.STARTING: "PROVISIONING",
    ClusterState.BOOTSTRAPPING: "BOOTSTRAPPING",
    ClusterState.RUNNING: "RUNNING",
    ClusterState.WAITING: "RUNNING",
    ClusterState.TERMINATING: "SHUTTING_DOWN",
}


def describe_cluster(cluster: Cluster, *, region: str, now: datetime) -> dict[str, Any]:
    request = cluster.request
    shown = {name: request[name] for name in _SHOWN_AS_GIVEN if request.get(name) is not None}
    if cluster.bootstrapping_since:
        shown["MasterPublicDnsName"] = "localhost"
    return shown | {
        **summarize_cluster(cluster, region=region, now=now),
        "Ec2InstanceAttributes": _instance_attributes(request),
        "InstanceCollectionType": "INSTANCE_GROUP",
        "AutoTerminate": not cluster.keeps_alive,
        "TerminationProtected": cluster.termination_protected,
        "VisibleToAllUsers": bool(request.get("VisibleToAllUsers", True)),
        "StepConcurrencyLevel": 1,
        "Tags": [{"Key": key, "Value": value} for key, value in cluster.tags],
    }


def summarize_cluster(cluster: Cluster, *, region: str, now: datetime) -> dict[str, Any]:
    """The ClusterSummary of ListClusters: a name and a status, without tags or sizes."""
    return {
        "Id": cluster.cluster_id,
        "Name": cluster.name,
        "Status": {
            "State": cluster.state.value,
            "StateChangeReason": _reason(cluster.reason),
            "Timeline": _timeline(
                CreationDateTime=cluster.created_at,
                ReadyDateTime=cluster.ready_at,
                EndDateTime=cluster.ended_at,
            ),
        },
        "NormalizedInstanceHours": _normalized_instance_hours(cluster, now),
        "ClusterArn": f"arn:aws:elasticmapreduce:{region}:{ACCOUNT_ID}:cluster/{cluster.cluster_id}",
    }


def describe_step(step: Step) -> dict[str, Any]:
    jar = step.request["HadoopJarStep"]
    status: dict[str, Any] = {
        "State": step.state.value,
        "StateChangeReason": _reason(step.reason),
        "Timeline": _timeline(
            CreationDateTime=step.created_at, StartDateTime=step.started_at, EndDateTime=step.ended_at
        ),
    }
    if step.failure:
        status["FailureDetails"] = _without_nothing(
            {
                "Reason": step.failure.reason,
                "Message": step.failure.message,
                "LogFile": step.failure.log_file,
            }
        )
    return {
        "Id": step.step_id,
        "Name": step.name,
        "Config": {"Jar": jar["Jar"], "Properties": {}, "Args": list(step.args)},
        "ActionOnFailure": step.action_on_failure,
        "Status": status,
    }


def describe_instance_groups(cluster: Cluster) -> list[dict[str, Any]]:
    state = _GROUP_STATES.get(cluster.state, "TERMINATED")
    groups = []
    for position, group in enumerate(instance_groups(cluster.request["Instances"])):
        shown = _without_nothing(
            {
                name: group.get(name)
                for name in ("Name", "BidPrice", "InstanceType", "Configurations", "CustomAmiId")
            }
        )
        groups.append(
            {
                **shown,
                "Id": _group_id(cluster, position),
                "Market": group.get("Market", "ON_DEMAND"),
                "InstanceGroupType": group["InstanceRole"],
                "RequestedInstanceCount": group["InstanceCount"],
                "RunningInstanceCount": group["InstanceCount"] if state == "RUNNING" else 0,
                "EbsBlockDevices": [],
                "ShrinkPolicy": {},
                "Status": {
                    "State": state,
                    "StateChangeReason": {},
                    "Timeline": _timeline(
                        CreationDateTime=cluster.created_at,
                        ReadyDateTime=cluster.ready_at,
                        EndDateTime=cluster.ended_at,
                    ),
                },
            }
        )
    return groups


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


def normalization_factor(instance_type: str) -> int:
    """EMR's weight of an instance type: small 1, medium 2, large 4, xlarge 8, nxlarge 8n.

    0 where the type's name does not end with such a size.
    Source: EMR API reference, NormalizedInstanceHours of Cluster.
    """
    size = instance_type.rpartition(".")[2]
    if size in _SIZE_FACTORS:
        return _SIZE_FACTORS[size]
    multiple = re.fullmatch(r"(\d+)xlarge", size)
    return 8 * int(multiple[1]) if multiple else 0


def _normalized_instance_hours(cluster: Cluster, now: datetime) -> int:
    if cluster.ready_at is None:
        return 0
    hours = math.ceil(((cluster.ended_at or now) - cluster.ready_at).total_seconds() / 3600)
    return sum(
        normalization_factor(group["InstanceType"]) * int(group["InstanceCount"]) * hours
        for group in instance_groups(cluster.request["Instances"])
    )


def _instance_attributes(request: Mapping[str, Any]) -> dict[str, Any]:
    instances = request["Instances"]
    shown = {name: instances[name] for name in _SHOWN_AS_ATTRIBUTES if instances.get(name)}
    subnets = instances.get("Ec2SubnetIds") or [s for s in [instances.get("Ec2SubnetId")] if s]
    if subnets:
        shown |= {"Ec2SubnetId": subnets[0], "RequestedEc2SubnetIds": subnets}
    zone = (instances.get("Placement") or {}).get("AvailabilityZone")
    if zone:
        shown["Ec2AvailabilityZone"] = zone
    return shown | {"IamInstanceProfile": request.get("JobFlowRole", "")}


def _group_id(cluster: Cluster, position: int) -> str:
    digest = hashlib.sha256(f"{cluster.cluster_id}/{position}".encode()).hexdigest()
    return f"ig-{digest[:13].upper()}"


def _reason(reason: Reason) -> dict[str, str]:
    return _without_nothing({"Code": reason.code, "Message": reason.message})


def _timeline(**moments: datetime | None) -> dict[str, float]:
    # the protocol writes a time as seconds since 1970, to the millisecond
    return {name: round(moment.timestamp(), 3) for name, moment in moments.items() if moment is not None}


def _without_nothing(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
