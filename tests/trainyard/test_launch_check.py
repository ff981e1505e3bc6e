"""What is found in a request before EMR is asked."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainyard.launch_check import request_mistakes

GOLDEN = Path(__file__).parents[1] / "golden" / "job_flow" / "groups.json"


def _set(*path: str | int, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(request: Any) -> None:
        for part in path[:-1]:
            request = request[part]
        request[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        (
            _set("Instances", "InstanceGroups", 1, "Market", to="SPOTTY"),
            "Instances.InstanceGroups[1].Market: 'SPOTTY'",
        ),
        (_set("Instances", "InstanceGroups", 1, "InstanceCount", to="2"), "InstanceCount"),
        (_set("Instances", "InstanceGruops", to=[]), "InstanceGruops"),
        (_set("Name", to="x" * 257), "Name: "),
        (_set("Tags", to=[{"Key": f"k{n}", "Value": ""} for n in range(51)]), "Tags: 51 tags"),
        (_set("Tags", 0, "Value", to="x" * 257), "Tags[0].Value: 257 characters"),
        (_set("Instances", "KeepJobFlowAliveWhenNoSteps", to=True), "Instances.KeepJobFlowAliveWhenNoSteps"),
        (_set("Instances", "TerminationProtected", to=True), "Instances.TerminationProtected"),
        (_set("Steps", 0, "ActionOnFailure", to="CONTINUE"), "Steps[0].ActionOnFailure: 'CONTINUE'"),
        (_set("AutoTerminationPolicy", to={}), "AutoTerminationPolicy.IdleTimeout"),
    ],
)
def test_a_mistaken_request_is_told_by_its_member(
    change: Callable[[dict[str, Any]], None], mistake: str
) -> None:
    request = copy.deepcopy(json.loads(GOLDEN.read_text()))
    change(request)
    found = request_mistakes(request)
    assert any(mistake in sentence for sentence in found), found
