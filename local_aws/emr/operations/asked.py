"""What an operation is given, and the parts that several share: finding a cluster, cutting a list into pages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from local_aws.emr.control_plane import ControlPlane
from local_aws.emr.errors import InvalidRequestError, ValidationError
from local_aws.emr.values import Cluster, Step, StepId

PAGE_SIZE = 50
Item = TypeVar("Item")
Answer = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """One request. :param runs_steps: whether steps are run at all; where all are simulated, any step will do"""

    plane: ControlPlane
    request: Mapping[str, Any]
    now: datetime
    region: str
    runs_steps: bool

    @property
    def cluster(self) -> Cluster:
        """The cluster of the member ClusterId. Raises InvalidRequestError."""
        return self.plane.cluster(self.request["ClusterId"])

    def live_cluster(self, member: str = "ClusterId") -> Cluster:
        """As `cluster`, for what changes it. Raises InvalidRequestError where it is over."""
        cluster = self.plane.cluster(self.request[member])
        if not cluster.state.takes_changes:
            raise InvalidRequestError(
                "A job flow that is shutting down, terminated, or finished may not be modified."
            )
        return cluster

    def job_flows(self) -> list[Cluster]:
        """The clusters of the member JobFlowIds. Raises ValidationError."""
        refusal = "Specified job flow ID does not exist."
        return [self.plane.job_flow(cluster_id, refusal) for cluster_id in self.request["JobFlowIds"]]


Operation = Callable[[Asked], Answer]


def find_step(cluster: Cluster, step_id: str) -> Step:
    step = cluster.step(StepId(step_id))
    if step is None:
        raise InvalidRequestError(f"Step id '{step_id}' is not valid.")
    return step


def at_most(number: int, names: Sequence[str], member: str) -> None:
    if len(names) > number:
        raise ValidationError(
            f"1 validation error detected: Value at '{member}' failed to satisfy constraint: "
            f"Member must have length less than or equal to {number}"
        )


def page(
    found: Sequence[Item], request: Mapping[str, Any], name: Callable[[Item], str], everything: Sequence[Item]
) -> tuple[Sequence[Item], dict[str, str]]:
    """Up to 50 items after the marker, which names the last item of the page before it.

    The item is looked for among everything, since its state may have changed between two pages.
    """
    marker = request.get("Marker")
    if marker:
        seen = _seen(marker, [name(item) for item in everything])
        found = [item for item in found if name(item) not in seen]
    items = found[:PAGE_SIZE]
    if len(found) <= PAGE_SIZE:
        return items, {}
    return items, {"Marker": base64.urlsafe_b64encode(name(items[-1]).encode()).decode()}


def _seen(marker: str, names: Sequence[str]) -> frozenset[str]:
    try:
        last = base64.urlsafe_b64decode(marker.encode()).decode()
        return frozenset(names[: names.index(last) + 1])
    except (ValueError, binascii.Error) as problem:
        raise InvalidRequestError(f"Marker '{marker}' is not valid.") from problem
