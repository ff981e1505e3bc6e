"""Clusters and steps in the shapes in which EMR's API shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from local_aws.emr.instance_types import normalization_factor
from local_aws.emr.nodes import has_fleets, purchases
from local_aws.emr.values import Cluster, Reason, Step

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


def describe_cluster(cluster: Cluster, *, region: str, now: datetime) -> dict[str, Any]:
    request = cluster.request
    shown = {name: request[name] for name in _SHOWN_AS_GIVEN if request.get(name) is not None}
    if cluster.bootstrapping_since:
        shown["MasterPublicDnsName"] = "localhost"
    replacement = request["Instances"].get("UnhealthyNodeReplacement")
    if replacement is not None:
        shown["UnhealthyNodeReplacement"] = replacement
    return shown | {
        **summarize_cluster(cluster, region=region, now=now),
        "Ec2InstanceAttributes": _instance_attributes(request),
        "InstanceCollectionType": "INSTANCE_FLEET" if has_fleets(cluster) else "INSTANCE_GROUP",
        "AutoTerminate": not cluster.keeps_alive,
        "TerminationProtected": cluster.termination_protected,
        "VisibleToAllUsers": bool(request.get("VisibleToAllUsers", True)),
        "StepConcurrencyLevel": cluster.step_concurrency,
        "Tags": [{"Key": key, "Value": value} for key, value in cluster.tags],
    }


def summarize_cluster(cluster: Cluster, *, region: str, now: datetime) -> dict[str, Any]:
    """The ClusterSummary of ListClusters: a name and a status, without tags or sizes."""
    return {
        "Id": cluster.cluster_id,
        "Name": cluster.name,
        "Status": _status(cluster),
        "NormalizedInstanceHours": _normalized_instance_hours(cluster, now),
        "ClusterArn": cluster_arn(cluster, region=region),
    }


def cluster_arn(cluster: Cluster, *, region: str) -> str:
    return f"arn:aws:elasticmapreduce:{region}:{ACCOUNT_ID}:cluster/{cluster.cluster_id}"


def describe_step(step: Step) -> dict[str, Any]:
    jar = step.request["HadoopJarStep"]
    status: dict[str, Any] = {
        "State": step.state.value,
        "StateChangeReason": _reason(step.reason),
        "Timeline": timeline(
            CreationDateTime=step.created_at, StartDateTime=step.started_at, EndDateTime=step.ended_at
        ),
    }
    if step.failure:
        status["FailureDetails"] = without_nothing(
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


def timeline(**moments: datetime | None) -> dict[str, float]:
    # the protocol writes a time as seconds since 1970, to the millisecond
    return {name: round(moment.timestamp(), 3) for name, moment in moments.items() if moment is not None}


def without_nothing(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _status(cluster: Cluster) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "State": cluster.state.value,
        "StateChangeReason": _reason(cluster.reason),
        "Timeline": timeline(
            CreationDateTime=cluster.created_at, ReadyDateTime=cluster.ready_at, EndDateTime=cluster.ended_at
        ),
    }
    error = cluster.reason.error
    if error is not None and cluster.state.is_over:
        details = {
            "ErrorCode": error.code,
            "ErrorData": [{key: value} for key, value in error.data],
            "ErrorMessage": error.message,
        }
        shown["ErrorDetails"] = [details]
    return shown


def _normalized_instance_hours(cluster: Cluster, now: datetime) -> int:
    """An hour that has begun counts whole, from the cluster's being ready to its end."""
    if cluster.ready_at is None:
        return 0
    hours = math.ceil(((cluster.ended_at or now) - cluster.ready_at).total_seconds() / 3600)
    weight = sum(normalization_factor(bought.instance_type) * bought.count for bought in purchases(cluster))
    return weight * hours


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


def _reason(reason: Reason) -> dict[str, str]:
    return without_nothing({"Code": reason.code, "Message": reason.message})
