"""Requests held against AWS's own model of the EMR API, as botocore carries it.

Two checks come before any operation runs: the request's shape (required, unknown and wrongly typed members,
lengths, ranges, enumerations), as AWS checks it; and whether this stand-in can honour what it asks for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, OperationModel, ServiceModel, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator

from local_aws.emr.errors import SerializationError, UnsupportedOperationError, ValidationError
from local_aws.emr.support import HONOURED, KEPT, NOT_HERE, SUPPORTED_OPERATIONS


class EmrServiceModel:
    def __init__(self) -> None:
        self._model = ServiceModel(Loader().load_service_model("emr", "service-2"))

    def operation(self, name: str) -> OperationModel:
        if name not in self._model.operation_names:
            raise UnsupportedOperationError(f"ElasticMapReduce has no operation {name!r}.")
        if name not in SUPPORTED_OPERATIONS:
            supported = ", ".join(sorted(SUPPORTED_OPERATIONS))
            raise UnsupportedOperationError(f"{NOT_HERE} operation {name}. It serves: {supported}.")
        return self._model.operation_model(name)

    def read(self, name: str, body: bytes) -> dict[str, Any]:
        """The request as AWS would take it.

        Raises SerializationError, ValidationError or UnsupportedOperationError.
        """
        operation = self.operation(name)
        try:
            request = json.loads(body or b"{}")
        # RecursionError: brackets nested deeper than any request's
        except (ValueError, RecursionError) as problem:
            raise SerializationError(f"The request body is not JSON: {problem}") from problem
        if not isinstance(request, dict):
            raise SerializationError("The request body must be a JSON object.")
        shape = operation.input_shape
        if shape is None:
            return request
        try:
            report = ParamValidator().validate(request, shape)
        except RuntimeError as problem:
            # botocore's of a time that no calendar reaches
            raise SerializationError(f"The request cannot be read: {problem}") from problem
        if report.has_errors():
            raise ValidationError(report.generate_report())
        problems = list(_constraint_problems(shape, request, ""))
        if problems:
            count = len(problems)
            raise ValidationError(
                f"{count} validation error{'s' if count > 1 else ''} detected: {'; '.join(problems)}"
            )
        for sentence in _unsupported_members(shape, request, name):
            raise ValidationError(sentence)
        return request


def _constraint_problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Enumerations and lengths, which botocore leaves to the service."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        for name, member in value.items():
            yield from _constraint_problems(shape.members[name], member, f"{path}.{_camel(name)}".lstrip("."))
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for position, member in enumerate(value, start=1):
            yield from _constraint_problems(shape.member, member, f"{path}.{position}.member")
    elif isinstance(shape, StringShape) and isinstance(value, str):
        longest = shape.metadata.get("max")
        if shape.enum and value not in shape.enum:
            yield (
                f"Value '{value}' at '{path}' failed to satisfy constraint: "
                f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
            )
        elif longest is not None and len(value) > longest:
            yield (
                f"Value at '{path}' failed to satisfy constraint: "
                f"Member must have length less than or equal to {longest}"
            )


def _unsupported_members(shape: Shape, value: Any, place: str) -> Iterator[str]:
    """A sentence for each member that would be ignored if it were let through."""
    if isinstance(shape, ListShape) and isinstance(value, list):
        for position, item in enumerate(value):
            yield from _unsupported_members(shape.member, item, f"{place}[{position}]")
    elif isinstance(shape, StructureShape) and isinstance(value, Mapping) and shape.name in HONOURED:
        honoured, kept = HONOURED[shape.name], KEPT.get(shape.name, frozenset())
        for name, member in value.items():
            if name in honoured:
                yield from _unsupported_members(shape.members[name], member, f"{place}.{name}")
            # clients send empty members they mean nothing by
            elif name not in kept and member not in (None, "", [], {}):
                yield f"{NOT_HERE} member {name} of {place}. It takes: {', '.join(sorted(honoured | kept))}."


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]
