"""Operations on a cluster's two policies: auto-termination, which takes effect, and managed scaling, which is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from local_aws.emr import rules
from local_aws.emr.errors import ValidationError
from local_aws.emr.operations.asked import Answer, Asked, Operation


def _put_auto_termination_policy(asked: Asked) -> Answer:
    cluster = asked.live_cluster()
    policy = asked.request.get("AutoTerminationPolicy")
    if not policy:
        raise ValidationError("AutoTerminationPolicy is required.")
    rules.check_auto_termination(policy)
    # idle time counts from the policy on: nobody is told that a cluster was about to end before there was one
    idle_since = asked.now if cluster.idle_since else None
    changed = replace(cluster, idle_timeout_seconds=policy["IdleTimeout"], idle_since=idle_since)
    asked.plane.change(changed, asked.now)
    return {}


def _get_auto_termination_policy(asked: Asked) -> Answer:
    seconds = asked.cluster.idle_timeout_seconds
    return {} if seconds is None else {"AutoTerminationPolicy": {"IdleTimeout": seconds}}


def _remove_auto_termination_policy(asked: Asked) -> Answer:
    asked.plane.change(replace(asked.live_cluster(), idle_timeout_seconds=None), asked.now)
    return {}


def _put_managed_scaling_policy(asked: Asked) -> Answer:
    cluster = asked.live_cluster()
    policy = asked.request["ManagedScalingPolicy"]
    rules.check_managed_scaling(policy, cluster.request["Instances"])
    asked.plane.change(replace(cluster, managed_scaling=policy), asked.now)
    return {}


def _get_managed_scaling_policy(asked: Asked) -> Answer:
    policy = asked.cluster.managed_scaling
    return {} if policy is None else {"ManagedScalingPolicy": policy}


def _remove_managed_scaling_policy(asked: Asked) -> Answer:
    asked.plane.change(replace(asked.live_cluster(), managed_scaling=None), asked.now)
    return {}


CHANGES: Mapping[str, Operation] = {
    "PutAutoTerminationPolicy": _put_auto_termination_policy,
    "PutManagedScalingPolicy": _put_managed_scaling_policy,
    "RemoveAutoTerminationPolicy": _remove_auto_termination_policy,
    "RemoveManagedScalingPolicy": _remove_managed_scaling_policy,
}
LOOKS: Mapping[str, Operation] = {
    "GetAutoTerminationPolicy": _get_auto_termination_policy,
    "GetManagedScalingPolicy": _get_managed_scaling_policy,
}
