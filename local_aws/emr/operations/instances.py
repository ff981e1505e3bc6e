"""Operations that show what a cluster consists of: groups, fleets, instances, bootstrap actions."""

from __future__ import annotations

from collections.abc import Mapping

from local_aws.emr import node_descriptions
from local_aws.emr.errors import InvalidRequestError
from local_aws.emr.nodes import Node, has_fleets, nodes
from local_aws.emr.operations.asked import Answer, Asked, Operation, page


def _list_instance_groups(asked: Asked) -> Answer:
    cluster = asked.cluster
    if has_fleets(cluster):
        raise InvalidRequestError("Instance fleets and instance groups are mutually exclusive.")
    groups = node_descriptions.describe_instance_groups(cluster, asked.now)
    items, marker = page(groups, asked.request, lambda group: str(group["Id"]), groups)
    return {"InstanceGroups": list(items)} | marker


def _list_instance_fleets(asked: Asked) -> Answer:
    cluster = asked.cluster
    if not has_fleets(cluster):
        raise InvalidRequestError("Instance fleets and instance groups are mutually exclusive.")
    fleets = node_descriptions.describe_instance_fleets(cluster)
    items, marker = page(fleets, asked.request, lambda fleet: str(fleet["Id"]), fleets)
    return {"InstanceFleets": list(items)} | marker


def _list_instances(asked: Asked) -> Answer:
    cluster = asked.cluster
    fleet_members = [name for name in ("InstanceFleetId", "InstanceFleetType") if asked.request.get(name)]
    group_members = [name for name in ("InstanceGroupId", "InstanceGroupTypes") if asked.request.get(name)]
    if (group_members if has_fleets(cluster) else fleet_members) or (fleet_members and group_members):
        raise InvalidRequestError("Instance fleets and instance groups are mutually exclusive.")
    every = nodes(cluster, asked.now)
    found = [node for node in every if _is_asked_for(node, asked)]
    items, marker = page(found, asked.request, lambda node: node.instance_id, every)
    return {"Instances": [node_descriptions.describe_instance(node) for node in items]} | marker


def _is_asked_for(node: Node, asked: Asked) -> bool:
    request = asked.request
    collection_id = request.get("InstanceGroupId") or request.get("InstanceFleetId")
    roles = request.get("InstanceGroupTypes") or [r for r in [request.get("InstanceFleetType")] if r]
    states = request.get("InstanceStates")
    return (
        (not collection_id or node.collection.collection_id == collection_id)
        and (not roles or node.collection.role in roles)
        and (not states or node.state in states)
    )


def _list_bootstrap_actions(asked: Asked) -> Answer:
    shown = [
        {
            "Name": action["Name"],
            "ScriptPath": action["ScriptBootstrapAction"]["Path"],
            "Args": action["ScriptBootstrapAction"].get("Args", []),
        }
        for action in asked.cluster.request.get("BootstrapActions") or ()
    ]
    items, marker = page(shown, asked.request, lambda action: str(action["Name"]), shown)
    return {"BootstrapActions": list(items)} | marker


CHANGES: Mapping[str, Operation] = {}
LOOKS: Mapping[str, Operation] = {
    "ListBootstrapActions": _list_bootstrap_actions,
    "ListInstanceFleets": _list_instance_fleets,
    "ListInstanceGroups": _list_instance_groups,
    "ListInstances": _list_instances,
}
