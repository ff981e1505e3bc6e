"""Operations on clusters as a whole: launch, describe, list, modify, protect, tag, terminate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from botocore.utils import parse_timestamp

from local_aws.emr import befalling, descriptions, rules
from local_aws.emr.errors import InvalidRequestError, SerializationError, ValidationError
from local_aws.emr.operations.asked import Answer, Asked, Operation, at_most, page
from local_aws.emr.values import Cluster


def _run_job_flow(asked: Asked) -> Answer:
    rules.check_job_flow(asked.request, runs_steps=asked.runs_steps)
    cluster = asked.plane.run_job_flow(asked.request, asked.now)
    arn = descriptions.cluster_arn(cluster, region=asked.region)
    return {"JobFlowId": cluster.cluster_id, "ClusterArn": arn}


def _terminate_job_flows(asked: Asked) -> Answer:
    at_most(10, asked.request["JobFlowIds"], "jobFlowIds")
    clusters = asked.job_flows()
    for cluster in clusters:
        if cluster.termination_protected and not cluster.state.is_over:
            raise ValidationError(
                "Could not shut down one or more job flows since they are termination protected."
            )
    for cluster in clusters:
        asked.plane.terminate(cluster, asked.now)
    return {}


def _set_termination_protection(asked: Asked) -> Answer:
    clusters = asked.job_flows()
    if any(cluster.state.is_over for cluster in clusters):
        raise ValidationError(
            "A job flow that is shutting down, terminated, or finished may not be modified."
        )
    for cluster in clusters:
        protected = replace(cluster, termination_protected=asked.request["TerminationProtected"])
        asked.plane.change(protected, asked.now)
    return {}


def _modify_cluster(asked: Asked) -> Answer:
    cluster = asked.live_cluster()
    level = asked.request.get("StepConcurrencyLevel")
    if level is None:
        raise InvalidRequestError("StepConcurrencyLevel is required.")
    problem = rules.concurrency_problem(level)
    if problem:
        raise InvalidRequestError(problem)
    asked.plane.change(replace(cluster, step_concurrency=level), asked.now)
    return {"StepConcurrencyLevel": level}


def _add_tags(asked: Asked) -> Answer:
    cluster = _taggable(asked)
    rules.check_tags(asked.request["Tags"])
    tags = dict(cluster.tags) | {tag["Key"]: tag.get("Value", "") for tag in asked.request["Tags"]}
    rules.check_tag_count(tags)
    asked.plane.change(replace(cluster, tags=tuple(tags.items())), asked.now)
    return {}


def _remove_tags(asked: Asked) -> Answer:
    cluster = _taggable(asked)
    kept = tuple((key, value) for key, value in cluster.tags if key not in asked.request["TagKeys"])
    asked.plane.change(replace(cluster, tags=kept), asked.now)
    return {}


def _describe_cluster(asked: Asked) -> Answer:
    return {"Cluster": descriptions.describe_cluster(asked.cluster, region=asked.region, now=asked.now)}


def _list_clusters(asked: Asked) -> Answer:
    request, plane = asked.request, asked.plane
    states = request.get("ClusterStates") or ()
    after, before = _moment(request.get("CreatedAfter")), _moment(request.get("CreatedBefore"))
    found = [
        cluster
        for cluster in befalling.as_listed(plane.clusters, plane.faults, asked.now)
        if (not states or cluster.state.value in states)
        and (after is None or cluster.created_at > after)
        and (before is None or cluster.created_at < before)
    ]
    items, marker = page(found, request, lambda cluster: cluster.cluster_id, plane.clusters)
    shown = [descriptions.summarize_cluster(cluster, region=asked.region, now=asked.now) for cluster in items]
    return {"Clusters": shown} | marker


def _taggable(asked: Asked) -> Cluster:
    cluster = asked.plane.cluster(asked.request["ResourceId"])
    if cluster.state.is_over:
        raise InvalidRequestError("Tags cannot be modified on terminated clusters.")
    return cluster


def _moment(value: Any) -> datetime | None:
    """A time as AWS's clients may write it. Raises SerializationError."""
    if value is None:
        return None
    try:
        moment: datetime = parse_timestamp(value)
    # what dateutil and the C library say of times that are none, or that no calendar reaches
    except (ValueError, OverflowError, RuntimeError, OSError, TypeError) as problem:
        raise SerializationError(
            f"{value!r} is no time: seconds since 1970, or a time such as 2026-11-25T02:00:00Z, is accepted."
        ) from problem
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


CHANGES: Mapping[str, Operation] = {
    "AddTags": _add_tags,
    "ModifyCluster": _modify_cluster,
    "RemoveTags": _remove_tags,
    "RunJobFlow": _run_job_flow,
    "SetTerminationProtection": _set_termination_protection,
    "TerminateJobFlows": _terminate_job_flows,
}
LOOKS: Mapping[str, Operation] = {
    "DescribeCluster": _describe_cluster,
    "ListClusters": _list_clusters,
}
