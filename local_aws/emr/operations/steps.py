"""Operations on steps: add, cancel, describe, list."""

from __future__ import annotations

from collections.abc import Mapping

from local_aws.emr import descriptions, rules
from local_aws.emr.errors import InvalidRequestError, ValidationError
from local_aws.emr.operations.asked import Answer, Asked, Operation, at_most, find_step, page
from local_aws.emr.values import StepState


def _add_job_flow_steps(asked: Asked) -> Answer:
    cluster = asked.plane.job_flow(asked.request["JobFlowId"], "Specified job flow ID not valid.")
    steps = asked.request["Steps"]
    at_most(256, steps, "steps")
    if asked.runs_steps:
        rules.check_steps(steps)
    rules.check_actions_on_failure(steps, cluster.step_concurrency)
    if not cluster.state.takes_changes:
        raise ValidationError(
            "A job flow that is shutting down, terminated, or finished may not be modified."
        )
    return {"StepIds": asked.plane.add_steps(cluster, steps, asked.now)}


def _cancel_steps(asked: Asked) -> Answer:
    request = asked.request
    at_most(256, request["StepIds"], "stepIds")
    at_once = request.get("StepCancellationOption") == "TERMINATE_PROCESS"
    answers = []
    for step_id in request["StepIds"]:
        # one request may name a step twice: look again each time
        cluster = asked.cluster
        step = find_step(cluster, step_id)
        if step.state in (StepState.PENDING, StepState.RUNNING):
            asked.plane.cancel_step(cluster, step, asked.now, at_once=at_once)
            answers.append({"StepId": step_id, "Status": "SUBMITTED"})
        else:
            reason = f"Cannot cancel a step that is {step.state.value}."
            answers.append({"StepId": step_id, "Status": "FAILED", "Reason": reason})
    return {"CancelStepsInfoList": answers}


def _describe_step(asked: Asked) -> Answer:
    step = find_step(asked.cluster, asked.request["StepId"])
    return {"Step": descriptions.describe_step(step)}


def _list_steps(asked: Asked) -> Answer:
    request, cluster = asked.request, asked.cluster
    ids, states = request.get("StepIds") or (), request.get("StepStates") or ()
    at_most(10, ids, "stepIds")
    if ids and states:
        raise InvalidRequestError("Cannot specify both StepIds and StepStates.")
    if ids:
        return {"Steps": [descriptions.describe_step(find_step(cluster, step_id)) for step_id in ids]}
    newest_first = cluster.steps[::-1]
    found = [step for step in newest_first if not states or step.state.value in states]
    items, marker = page(found, request, lambda step: step.step_id, newest_first)
    return {"Steps": [descriptions.describe_step(step) for step in items]} | marker


CHANGES: Mapping[str, Operation] = {
    "AddJobFlowSteps": _add_job_flow_steps,
    "CancelSteps": _cancel_steps,
}
LOOKS: Mapping[str, Operation] = {
    "DescribeStep": _describe_step,
    "ListSteps": _list_steps,
}
