"""Instance groups, instance fleets and instances in the shapes in which EMR's API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from local_aws.emr.descriptions import timeline, without_nothing
from local_aws.emr.nodes import CLUSTER_TERMINATED, Collection, Node, collections, nodes
from local_aws.emr.values import Cluster, ClusterState

_COLLECTION_STATES = {
    ClusterState.STARTING: "PROVISIONING",
    ClusterState.BOOTSTRAPPING: "BOOTSTRAPPING",
    ClusterState.RUNNING: "RUNNING",
    ClusterState.WAITING: "RUNNING",
}


def describe_instance_groups(cluster: Cluster, now: datetime) -> list[dict[str, Any]]:
    all_nodes = nodes(cluster, now)
    return [_describe_group(cluster, group, all_nodes) for group in collections(cluster)]


def describe_instance_fleets(cluster: Cluster) -> list[dict[str, Any]]:
    return [_describe_fleet(cluster, fleet) for fleet in collections(cluster)]


def describe_instance(node: Node) -> dict[str, Any]:
    is_fleet = "InstanceFleetType" in node.collection.request
    code, message = node.ended or (None, None)
    return {
        "Id": node.instance_id,
        "Ec2InstanceId": node.ec2_instance_id,
        "Status": {
            "State": node.state,
            "StateChangeReason": without_nothing({"Code": code, "Message": message}),
            "Timeline": timeline(
                CreationDateTime=node.created_at, ReadyDateTime=node.ready_at, EndDateTime=node.ended_at
            ),
        },
        "InstanceFleetId" if is_fleet else "InstanceGroupId": node.collection.collection_id,
        "Market": node.market,
        "InstanceType": node.instance_type,
        "EbsVolumes": [],
    }


def _describe_group(cluster: Cluster, group: Collection, all_nodes: list[Node]) -> dict[str, Any]:
    request = group.request
    running = [node for node in all_nodes if node.collection == group and node.state == "RUNNING"]
    return {
        **without_nothing(
            {
                name: request.get(name)
                for name in ("Name", "BidPrice", "InstanceType", "Configurations", "CustomAmiId")
            }
        ),
        "Id": group.collection_id,
        "Market": request.get("Market", "ON_DEMAND"),
        "InstanceGroupType": group.role,
        "RequestedInstanceCount": request["InstanceCount"],
        "RunningInstanceCount": len(running),
        "EbsBlockDevices": [],
        "ShrinkPolicy": {},
        "Status": _status(cluster, terminating="SHUTTING_DOWN"),
    }


def _describe_fleet(cluster: Cluster, fleet: Collection) -> dict[str, Any]:
    request = fleet.request
    there = cluster.bootstrapping_since is not None and not cluster.state.is_over
    specifications = [
        {"WeightedCapacity": 1, **config, "EbsBlockDevices": []} for config in request["InstanceTypeConfigs"]
    ]
    for specification in specifications:
        specification.pop("EbsConfiguration", None)
    return {
        **without_nothing({name: request.get(name) for name in ("Name", "LaunchSpecifications")}),
        "Id": fleet.collection_id,
        "InstanceFleetType": fleet.role,
        "TargetOnDemandCapacity": request.get("TargetOnDemandCapacity", 0),
        "TargetSpotCapacity": request.get("TargetSpotCapacity", 0),
        "ProvisionedOnDemandCapacity": fleet.units("ON_DEMAND") if there else 0,
        "ProvisionedSpotCapacity": fleet.units("SPOT") if there else 0,
        "InstanceTypeSpecifications": specifications,
        "Status": _status(cluster, terminating="TERMINATING"),
    }


def _status(cluster: Cluster, *, terminating: str) -> dict[str, Any]:
    state = "TERMINATED" if cluster.state.is_over else _COLLECTION_STATES.get(cluster.state, terminating)
    code, message = CLUSTER_TERMINATED if cluster.state.is_over else (None, None)
    return {
        "State": state,
        "StateChangeReason": without_nothing({"Code": code, "Message": message}),
        "Timeline": timeline(
            CreationDateTime=cluster.created_at, ReadyDateTime=cluster.ready_at, EndDateTime=cluster.ended_at
        ),
    }
