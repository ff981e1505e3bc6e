"""Which operations and members this stand-in takes: tables by the names of AWS's own service model.

HONOURED members change what happens, or what is answered. KEPT ones have no meaning on one machine: they are
stored and shown where EMR shows them. Anything else is refused by name, so that nobody believes it took effect.
"""

from __future__ import annotations

from collections.abc import Mapping

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
        "ListInstanceFleets",
        "ListInstanceGroups",
        "ListInstances",
        "ListSteps",
        "ModifyCluster",
        "PutAutoTerminationPolicy",
        "PutManagedScalingPolicy",
        "RemoveAutoTerminationPolicy",
        "RemoveManagedScalingPolicy",
        "RemoveTags",
        "RunJobFlow",
        "SetTerminationProtection",
        "TerminateJobFlows",
    }
)

NOT_HERE = "local_aws does not support the"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


HONOURED: Mapping[str, frozenset[str]] = {
    "AddJobFlowStepsInput": _names("JobFlowId Steps"),
    "AddTagsInput": _names("ResourceId Tags"),
    "AutoTerminationPolicy": _names("IdleTimeout"),
    "BootstrapActionConfig": _names("Name ScriptBootstrapAction"),
    "CancelStepsInput": _names("ClusterId StepIds StepCancellationOption"),
    "ComputeLimits": _names("UnitType MinimumCapacityUnits MaximumCapacityUnits"),
    "DescribeClusterInput": _names("ClusterId"),
    "DescribeStepInput": _names("ClusterId StepId"),
    "GetAutoTerminationPolicyInput": _names("ClusterId"),
    "GetManagedScalingPolicyInput": _names("ClusterId"),
    "HadoopJarStepConfig": _names("Args Jar"),
    "InstanceFleetConfig": _names(
        "Name InstanceFleetType InstanceTypeConfigs LaunchSpecifications TargetOnDemandCapacity TargetSpotCapacity"
    ),
    "InstanceFleetProvisioningSpecifications": _names("SpotSpecification"),
    "InstanceGroupConfig": _names("BidPrice InstanceCount InstanceRole InstanceType Market Name"),
    "InstanceTypeConfig": _names("InstanceType Priority WeightedCapacity"),
    "JobFlowInstancesConfig": _names(
        "InstanceCount InstanceFleets InstanceGroups KeepJobFlowAliveWhenNoSteps MasterInstanceType "
        "SlaveInstanceType TerminationProtected"
    ),
    "ListBootstrapActionsInput": _names("ClusterId Marker"),
    "ListClustersInput": _names("ClusterStates CreatedAfter CreatedBefore Marker"),
    "ListInstanceFleetsInput": _names("ClusterId Marker"),
    "ListInstanceGroupsInput": _names("ClusterId Marker"),
    "ListInstancesInput": _names(
        "ClusterId InstanceFleetId InstanceFleetType InstanceGroupId InstanceGroupTypes InstanceStates Marker"
    ),
    "ListStepsInput": _names("ClusterId Marker StepIds StepStates"),
    "ManagedScalingPolicy": _names("ComputeLimits"),
    "ModifyClusterInput": _names("ClusterId StepConcurrencyLevel"),
    "PutAutoTerminationPolicyInput": _names("AutoTerminationPolicy ClusterId"),
    "PutManagedScalingPolicyInput": _names("ClusterId ManagedScalingPolicy"),
    "RemoveAutoTerminationPolicyInput": _names("ClusterId"),
    "RemoveManagedScalingPolicyInput": _names("ClusterId"),
    "RemoveTagsInput": _names("ResourceId TagKeys"),
    "RunJobFlowInput": _names(
        "AutoTerminationPolicy BootstrapActions Configurations Instances LogUri ManagedScalingPolicy Name "
        "ReleaseLabel StepConcurrencyLevel Steps Tags"
    ),
    "ScriptBootstrapActionConfig": _names("Args Path"),
    "SetTerminationProtectionInput": _names("JobFlowIds TerminationProtected"),
    "SpotProvisioningSpecification": _names("TimeoutAction TimeoutDurationMinutes"),
    "StepConfig": _names("ActionOnFailure HadoopJarStep Name"),
    "Tag": _names("Key Value"),
    "TerminateJobFlowsInput": _names("JobFlowIds"),
}

KEPT: Mapping[str, frozenset[str]] = {
    "ComputeLimits": _names("MaximumCoreCapacityUnits MaximumOnDemandCapacityUnits"),
    "InstanceFleetConfig": _names("ResizeSpecifications"),
    "InstanceFleetProvisioningSpecifications": _names("OnDemandSpecification"),
    "InstanceGroupConfig": _names("AutoScalingPolicy Configurations CustomAmiId EbsConfiguration"),
    "InstanceTypeConfig": _names(
        "BidPrice BidPriceAsPercentageOfOnDemandPrice Configurations CustomAmiId EbsConfiguration"
    ),
    "JobFlowInstancesConfig": _names(
        "AdditionalMasterSecurityGroups AdditionalSlaveSecurityGroups Ec2KeyName Ec2SubnetId Ec2SubnetIds "
        "EmrManagedMasterSecurityGroup EmrManagedSlaveSecurityGroup Placement ServiceAccessSecurityGroup "
        "UnhealthyNodeReplacement"
    ),
    "ManagedScalingPolicy": _names("ScalingStrategy UtilizationPerformanceIndex"),
    "RunJobFlowInput": _names(
        "Applications AutoScalingRole CustomAmiId EbsRootVolumeIops EbsRootVolumeSize "
        "EbsRootVolumeThroughput JobFlowRole LogEncryptionKmsKeyId OSReleaseLabel RepoUpgradeOnBoot "
        "ScaleDownBehavior SecurityConfiguration ServiceRole VisibleToAllUsers"
    ),
    "SpotProvisioningSpecification": _names("AllocationStrategy"),
}
