"""Faults from text: YAML, of which JSON is a part; one fault or a list of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from local_aws.faults.kinds import FAULTS, Fault


class FaultTextError(Exception):
    """Text that is no fault; each line names the place, what is wrong and what stands there."""


def read_faults(text: str) -> tuple[Fault, ...]:
    """Raises FaultTextError."""
    try:
        found: Any = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise FaultTextError(f"neither YAML nor JSON: {problem}") from problem
    faults = [found] if isinstance(found, dict) else found
    if not isinstance(faults, list):
        raise FaultTextError("expected a fault or a list of faults, such as {kind: throttle, times: 3}")
    try:
        return FAULTS.validate_python(faults)
    except ValidationError as problem:
        lines = [_sentence(error) for error in problem.errors(include_url=False)]
        raise FaultTextError("\n".join(lines)) from problem


def read_fault_file(path: Path) -> tuple[Fault, ...]:
    """Raises FaultTextError, which then names the file too."""
    try:
        return read_faults(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise FaultTextError(f"{path}: cannot be read: {problem.strerror}") from problem
    except FaultTextError as problem:
        raise FaultTextError(f"{path}: {problem}") from problem


def _sentence(error: Any) -> str:
    number, *members = error["loc"]
    place = ".".join(str(member) for member in members) or "fault"
    value = "" if isinstance(error["input"], dict | list) else f" (given: {error['input']!r})"
    return f"fault {int(number) + 1}, {place}: {error['msg']}{value}"
