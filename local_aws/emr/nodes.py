"""The machines of a cluster, as far as they matter here: how many of which role and market it has."""

from __future__ import annotations

from local_aws.emr.descriptions import instance_groups
from local_aws.emr.values import Cluster, NodeLoss

ANY = "ANY"


def count_nodes(cluster: Cluster, *, role: str = ANY, market: str = ANY) -> int:
    return sum(
        int(group["InstanceCount"])
        for group in instance_groups(cluster.request["Instances"])
        if role in (ANY, group["InstanceRole"]) and market in (ANY, group.get("Market", "ON_DEMAND"))
    )


def end_by_loss(cluster: Cluster, loss: NodeLoss) -> str | None:
    """Why the cluster cannot go on without these nodes; None where EMR replaces them.

    Source: https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-instances-guidelines.html
    (the primary node's end is the cluster's, and so is that of all core nodes).
    """
    if loss.role == "MASTER":
        return "The master node was terminated: EC2 took the instance back."
    left = count_nodes(cluster, role=loss.role) - lost_nodes(cluster, loss)
    if loss.role == "CORE" and left <= 0:
        return "NO_SLAVE_LEFT: All core nodes were terminated: EC2 took the instances back."
    return None


def lost_nodes(cluster: Cluster, loss: NodeLoss) -> int:
    """How many nodes that loss takes."""
    there = count_nodes(cluster, role=loss.role, market=loss.market)
    return there if loss.nodes is None else min(loss.nodes, there)
