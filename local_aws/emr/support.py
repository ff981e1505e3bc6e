"""Which operations and members this stand-in takes: one table, by name.

HONOURED members change what happens. KEPT ones have no meaning on one machine: they are stored and shown
where EMR shows them. Anything else is refused by name, so that nobody believes it took effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SUPPORTED_OPERATIONS = frozenset(
    {
        "AddJobFlowSteps",
        "AddTags",
        "CancelSteps",
        "DescribeCluster",
        "DescribeStep",
        "GetAutoTerminationPolicy",
        "GetManagedScalingPolicy",
        "ListBootstrapActions",
        "ListClusters",
        "ListInstanceGroups",
        "ListSteps",
        "RemoveTags",
        "RunJobFlow",
        "SetTerminationProtection",
        "TerminateJobFlows",
    }
)

NOT_HERE = "local_aws does not support the"

HONOURED: Mapping[str, frozenset[str]] = {
    "RunJobFlow": frozenset({"Name", "LogUri", "Instances", "Steps", "Configurations", "Tags"}),
    "RunJobFlow.Instances": frozenset(
        {
            "InstanceCount",
            "InstanceGroups",
            "KeepJobFlowAliveWhenNoSteps",
            "MasterInstanceType",
            "SlaveInstanceType",
            "TerminationProtected",
        }
    ),
    "InstanceGroup": frozenset(
        {"BidPrice", "InstanceCount", "InstanceRole", "InstanceType", "Market", "Name"}
    ),
    "Step": frozenset({"ActionOnFailure", "HadoopJarStep", "Name"}),
    "HadoopJarStep": frozenset({"Args", "Jar"}),
    "AddJobFlowSteps": frozenset({"JobFlowId", "Steps"}),
    "ListClusters": frozenset({"ClusterStates", "CreatedAfter", "CreatedBefore", "Marker"}),
    "ListSteps": frozenset({"ClusterId", "Marker", "StepIds", "StepStates"}),
}

KEPT: Mapping[str, frozenset[str]] = {
    "RunJobFlow": frozenset(
        {
            "Applications",
            "AutoScalingRole",
            "AutoTerminationPolicy",
            "BootstrapActions",
            "CustomAmiId",
            "EbsRootVolumeIops",
            "EbsRootVolumeSize",
            "EbsRootVolumeThroughput",
            "JobFlowRole",
            "LogEncryptionKmsKeyId",
            "ManagedScalingPolicy",
            "OSReleaseLabel",
            "ReleaseLabel",
            "RepoUpgradeOnBoot",
            "ScaleDownBehavior",
            "SecurityConfiguration",
            "ServiceRole",
            # only 1: steps of a cluster run one after the other
            "StepConcurrencyLevel",
            "VisibleToAllUsers",
        }
    ),
    "RunJobFlow.Instances": frozenset(
        {
            "AdditionalMasterSecurityGroups",
            "AdditionalSlaveSecurityGroups",
            "Ec2KeyName",
            "Ec2SubnetId",
            "Ec2SubnetIds",
            "EmrManagedMasterSecurityGroup",
            "EmrManagedSlaveSecurityGroup",
            "Placement",
            "ServiceAccessSecurityGroup",
            "UnhealthyNodeReplacement",
        }
    ),
    "InstanceGroup": frozenset({"AutoScalingPolicy", "Configurations", "CustomAmiId", "EbsConfiguration"}),
}


def unsupported_members(operation: str, request: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each member that would be ignored if it were let through."""
    yield from _refused(operation, operation, request)
    if operation == "RunJobFlow":
        yield from _refused("RunJobFlow.Instances", "RunJobFlow.Instances", request["Instances"])
        for position, group in enumerate(request["Instances"].get("InstanceGroups") or ()):
            yield from _refused("InstanceGroup", f"RunJobFlow.Instances.InstanceGroups[{position}]", group)
        if request.get("StepConcurrencyLevel", 1) != 1:
            yield (
                f"local_aws runs the steps of a cluster one after the other: "
                f"StepConcurrencyLevel {request['StepConcurrencyLevel']} is refused, 1 is accepted."
            )
    for position, step in enumerate(request.get("Steps") or ()):
        place = f"{operation}.Steps[{position}]"
        yield from _refused("Step", place, step)
        yield from _refused("HadoopJarStep", f"{place}.HadoopJarStep", step["HadoopJarStep"])


def _refused(table: str, place: str, members: Mapping[str, Any]) -> Iterator[str]:
    if table not in HONOURED:
        return
    taken = HONOURED[table] | KEPT.get(table, frozenset())
    for name, value in members.items():
        # clients send empty members they mean nothing by
        if name not in taken and value not in (None, "", [], {}):
            yield f"{NOT_HERE} member {name} of {place}. It takes: {', '.join(sorted(taken))}."
