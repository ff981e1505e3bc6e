"""EMR's operations: a checked request in, EMR's answer out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, TypeVar

from local_aws.emr import befalling, descriptions, rules
from local_aws.emr.control_plane import ControlPlane
from local_aws.emr.errors import InvalidRequestError, ValidationError
from local_aws.emr.service import EmrService
from local_aws.emr.service_model import EmrServiceModel
from local_aws.emr.values import Cluster, Step, StepId, StepState

PAGE_SIZE = 50

Request = Mapping[str, Any]
Item = TypeVar("Item")
Operation = Callable[[ControlPlane, Request, datetime, str], dict[str, Any]]


class EmrApi:
    """:param refusals: what the machine that runs the steps says against a RunJobFlow request"""

    def __init__(
        self, service: EmrService, *, refusals: Callable[[Request], Iterable[str]] = lambda _: ()
    ) -> None:
        self._service = service
        self._refusals = refusals
        self._model = EmrServiceModel()

    def call(self, operation: str, body: bytes, *, region: str) -> dict[str, Any]:
        """Raises EmrError for everything that EMR would refuse, and for what is not supported here."""
        request = self._model.read(operation, body)
        for sentence in self._refusals(request) if operation == "RunJobFlow" else ():
            raise ValidationError(sentence)
        if operation in _CHANGES:
            return self._service.change(lambda plane, now: _CHANGES[operation](plane, request, now, region))
        return self._service.look(lambda plane, now: _LOOKS[operation](plane, request, now, region))


def _run_job_flow(plane: ControlPlane, request: Request, now: datetime, region: str) -> dict[str, Any]:
    rules.check_job_flow(request)
    cluster = plane.run_job_flow(request, now)
    shown = descriptions.summarize_cluster(cluster, region=region, now=now)
    return {"JobFlowId": cluster.cluster_id, "ClusterArn": shown["ClusterArn"]}


def _add_job_flow_steps(plane: ControlPlane, request: Request, now: datetime, _: str) -> dict[str, Any]:
    cluster = plane.job_flow(request["JobFlowId"], "Specified job flow ID not valid.")
    rules.check_steps(request["Steps"])
    return {"StepIds": plane.add_steps(cluster, request["Steps"], now)}


def _cancel_steps(plane: ControlPlane, request: Request, now: datetime, _: str) -> dict[str, Any]:
    answers = []
    for step_id in request["StepIds"]:
        # one request may name a step twice: look again each time
        cluster = plane.cluster(request["ClusterId"])
        step = _step(cluster, step_id)
        if step.state in (StepState.PENDING, StepState.RUNNING):
            plane.cancel_step(cluster, step, now)
            answers.append({"StepId": step_id, "Status": "SUBMITTED"})
        else:
            reason = f"Cannot cancel a step that is {step.state.value}."
            answers.append({"StepId": step_id, "Status": "FAILED", "Reason": reason})
    return {"CancelStepsInfoList": answers}


def _terminate_job_flows(plane: ControlPlane, request: Request, now: datetime, _: str) -> dict[str, Any]:
    clusters = [
        plane.job_flow(cluster_id, "Specified job flow ID does not exist.")
        for cluster_id in request["JobFlowIds"]
    ]
    for cluster in clusters:
        if cluster.termination_protected and not cluster.state.is_over:
            raise ValidationError(
                "Could not shut down one or more job flows since they are termination protected."
            )
    for cluster in clusters:
        plane.terminate(cluster, now)
    return {}


def _set_termination_protection(
    plane: ControlPlane, request: Request, now: datetime, _: str
) -> dict[str, Any]:
    clusters = [
        plane.job_flow(cluster_id, "Specified job flow ID does not exist.")
        for cluster_id in request["JobFlowIds"]
    ]
    for cluster in clusters:
        plane.change(replace(cluster, termination_protected=request["TerminationProtected"]), now)
    return {}


def _add_tags(plane: ControlPlane, request: Request, now: datetime, _: str) -> dict[str, Any]:
    cluster = _taggable(plane, request)
    rules.check_tags(request["Tags"])
    tags = dict(cluster.tags) | {tag["Key"]: tag.get("Value", "") for tag in request["Tags"]}
    plane.change(replace(cluster, tags=tuple(tags.items())), now)
    return {}


def _remove_tags(plane: ControlPlane, request: Request, now: datetime, _: str) -> dict[str, Any]:
    cluster = _taggable(plane, request)
    kept = tuple((key, value) for key, value in cluster.tags if key not in request["TagKeys"])
    plane.change(replace(cluster, tags=kept), now)
    return {}


def _describe_cluster(plane: ControlPlane, request: Request, now: datetime, region: str) -> dict[str, Any]:
    cluster = plane.cluster(request["ClusterId"])
    return {"Cluster": descriptions.describe_cluster(cluster, region=region, now=now)}


def _list_clusters(plane: ControlPlane, request: Request, now: datetime, region: str) -> dict[str, Any]:
    states = request.get("ClusterStates") or ()
    after, before = _moment(request.get("CreatedAfter")), _moment(request.get("CreatedBefore"))
    found = [
        cluster
        for cluster in befalling.as_listed(plane.clusters, plane.faults, now)
        if (not states or cluster.state.value in states)
        and (after is None or cluster.created_at > after)
        and (before is None or cluster.created_at < before)
    ]
    page, marker = _page(found, request, lambda cluster: cluster.cluster_id, plane.clusters)
    shown = [descriptions.summarize_cluster(cluster, region=region, now=now) for cluster in page]
    return {"Clusters": shown} | marker


def _describe_step(plane: ControlPlane, request: Request, _now: datetime, _: str) -> dict[str, Any]:
    step = _step(plane.cluster(request["ClusterId"]), request["StepId"])
    return {"Step": descriptions.describe_step(step)}


def _list_steps(plane: ControlPlane, request: Request, _now: datetime, _: str) -> dict[str, Any]:
    cluster = plane.cluster(request["ClusterId"])
    ids, states = request.get("StepIds") or (), request.get("StepStates") or ()
    if ids and states:
        raise InvalidRequestError("Cannot specify both StepIds and StepStates.")
    if ids:
        return {"Steps": [descriptions.describe_step(_step(cluster, step_id)) for step_id in ids]}
    newest_first = cluster.steps[::-1]
    found = [step for step in newest_first if not states or step.state.value in states]
    page, marker = _page(found, request, lambda step: step.step_id, newest_first)
    return {"Steps": [descriptions.describe_step(step) for step in page]} | marker


def _list_instance_groups(plane: ControlPlane, request: Request, _now: datetime, _: str) -> dict[str, Any]:
    cluster = plane.cluster(request["ClusterId"])
    return {"InstanceGroups": descriptions.describe_instance_groups(cluster)}


def _list_bootstrap_actions(plane: ControlPlane, request: Request, _now: datetime, _: str) -> dict[str, Any]:
    cluster = plane.cluster(request["ClusterId"])
    shown = [
        {
            "Name": action["Name"],
            "ScriptPath": action["ScriptBootstrapAction"]["Path"],
            "Args": action["ScriptBootstrapAction"].get("Args", []),
        }
        for action in cluster.request.get("BootstrapActions") or ()
    ]
    return {"BootstrapActions": shown}


def _get_auto_termination_policy(
    plane: ControlPlane, request: Request, _now: datetime, _: str
) -> dict[str, Any]:
    policy = plane.cluster(request["ClusterId"]).request.get("AutoTerminationPolicy")
    return {"AutoTerminationPolicy": policy} if policy else {}


def _get_managed_scaling_policy(
    plane: ControlPlane, request: Request, _now: datetime, _: str
) -> dict[str, Any]:
    policy = plane.cluster(request["ClusterId"]).request.get("ManagedScalingPolicy")
    return {"ManagedScalingPolicy": policy} if policy else {}


def _step(cluster: Cluster, step_id: str) -> Step:
    step = cluster.step(StepId(step_id))
    if step is None:
        raise InvalidRequestError(f"Step id '{step_id}' is not valid.")
    return step


def _taggable(plane: ControlPlane, request: Request) -> Cluster:
    cluster = plane.cluster(request["ResourceId"])
    if cluster.state.is_over:
        raise InvalidRequestError("Tags cannot be modified on terminated clusters.")
    return cluster


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, str):
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
        return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return datetime.fromtimestamp(value, timezone.utc)


def _page(
    found: Sequence[Item], request: Request, name: Callable[[Item], str], everything: Sequence[Item]
) -> tuple[Sequence[Item], dict[str, str]]:
    """Up to 50 items after the marker, which names the last item of the page before it.

    The item is looked for among everything, since its state may have changed between two pages.
    """
    marker = request.get("Marker")
    if marker:
        seen = _seen(marker, [name(item) for item in everything])
        found = [item for item in found if name(item) not in seen]
    page = found[:PAGE_SIZE]
    if len(found) <= PAGE_SIZE:
        return page, {}
    return page, {"Marker": base64.urlsafe_b64encode(name(page[-1]).encode()).decode()}


def _seen(marker: str, names: Sequence[str]) -> frozenset[str]:
    try:
        last = base64.urlsafe_b64decode(marker.encode()).decode()
        return frozenset(names[: names.index(last) + 1])
    except (ValueError, binascii.Error) as problem:
        raise InvalidRequestError(f"Marker '{marker}' is not valid.") from problem


_CHANGES: Mapping[str, Operation] = {
    "AddJobFlowSteps": _add_job_flow_steps,
    "AddTags": _add_tags,
    "CancelSteps": _cancel_steps,
    "RemoveTags": _remove_tags,
    "RunJobFlow": _run_job_flow,
    "SetTerminationProtection": _set_termination_protection,
    "TerminateJobFlows": _terminate_job_flows,
}
_LOOKS: Mapping[str, Operation] = {
    "DescribeCluster": _describe_cluster,
    "DescribeStep": _describe_step,
    "GetAutoTerminationPolicy": _get_auto_termination_policy,
    "GetManagedScalingPolicy": _get_managed_scaling_policy,
    "ListBootstrapActions": _list_bootstrap_actions,
    "ListClusters": _list_clusters,
    "ListInstanceGroups": _list_instance_groups,
    "ListSteps": _list_steps,
}
