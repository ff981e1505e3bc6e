"""A RunJobFlow request → what EMR would refuse of it, before anything is launched.

Held against AWS's own model of the operation, as botocore carries it, and against the rules that promise that a
cluster ends by itself. botocore alone checks types and required members; enumerations and lengths it leaves to EMR.
Source of the limits: https://docs.aws.amazon.com/emr/latest/APIReference/API_RunJobFlow.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator

_MOST_TAGS = 50
_LONGEST_TAG_KEY, _LONGEST_TAG_VALUE = 128, 256
_MOST_BOOTSTRAP_ACTIONS = 16


def request_mistakes(request: Mapping[str, Any]) -> tuple[str, ...]:
    """What EMR would refuse, or what would let the cluster live on; one sentence each, with the member's path."""
    shape = _run_job_flow()
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        return tuple(report.generate_report().splitlines())
    return (*_constraints(shape, request, ""), *_limits(request), *_ends_by_itself(request))


@cache
def _run_job_flow() -> Shape:
    model = ServiceModel(Loader().load_service_model("emr", "service-2"))
    shape = model.operation_model("RunJobFlow").input_shape
    assert shape is not None
    return shape


def _constraints(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        for name, member in value.items():
            yield from _constraints(shape.members[name], member, f"{path}.{name}".lstrip("."))
    elif isinstance(shape, ListShape):
        for place, member in enumerate(value):
            yield from _constraints(shape.member, member, f"{path}[{place}]")
    elif isinstance(shape, MapShape):
        for key, member in value.items():
            yield from _constraints(shape.value, member, f"{path}[{key!r}]")
    elif isinstance(shape, StringShape):
        longest = shape.metadata.get("max")
        if shape.enum and value not in shape.enum:
            yield f"{path}: {value!r} is not accepted; {' or '.join(shape.enum)} is"
        if longest is not None and len(value) > longest:
            yield f"{path}: {value[:60]!r}… has {len(value)} characters; at most {longest} are accepted"


def _limits(request: Mapping[str, Any]) -> Iterator[str]:
    tags = request.get("Tags", ())
    if len(tags) > _MOST_TAGS:
        yield f"Tags: {len(tags)} tags; at most {_MOST_TAGS} are accepted"
    for place, tag in enumerate(tags):
        for part, longest in (("Key", _LONGEST_TAG_KEY), ("Value", _LONGEST_TAG_VALUE)):
            if len(tag[part]) > longest:
                yield f"Tags[{place}].{part}: {len(tag[part])} characters; at most {longest} are accepted"
    actions = request.get("BootstrapActions", ())
    if len(actions) > _MOST_BOOTSTRAP_ACTIONS:
        yield f"BootstrapActions: {len(actions)} actions; at most {_MOST_BOOTSTRAP_ACTIONS} are accepted"


def _ends_by_itself(request: Mapping[str, Any]) -> Iterator[str]:
    if request["Instances"].get("KeepJobFlowAliveWhenNoSteps"):
        yield "Instances.KeepJobFlowAliveWhenNoSteps: true keeps the cluster after its step; false is accepted"
    if request["Instances"].get("TerminationProtected"):
        yield "Instances.TerminationProtected: true keeps the cluster from ending itself; false is accepted"
    for place, step in enumerate(request.get("Steps", ())):
        if step.get("ActionOnFailure") != "TERMINATE_CLUSTER":
            yield (
                f"Steps[{place}].ActionOnFailure: {step.get('ActionOnFailure')!r} keeps the cluster after a failure; "
                "'TERMINATE_CLUSTER' is accepted"
            )
    if not request.get("AutoTerminationPolicy", {}).get("IdleTimeout"):
        yield "AutoTerminationPolicy.IdleTimeout: none lets an idle cluster live; seconds are accepted"
