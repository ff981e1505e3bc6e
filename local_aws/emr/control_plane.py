"""All clusters of this process and the rules between them: ids, slots, waiting times.

Pure but for the ids: every method takes the time; nothing sleeps, starts or stops anything. `advance` moves
every cluster as far as the time allows and hands back what the machine must now do. Slots are given first
come, first served: a cluster that gets none stays STARTING (or WAITING, where it has run steps before).
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from local_aws.emr import lifecycle
from local_aws.emr.errors import InvalidRequestError, ValidationError
from local_aws.emr.values import Cluster, ClusterId, ClusterState, Step, StepId, StepState

MAX_UNFINISHED_STEPS = 256
_ID_ALPHABET = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class Pace:
    """How many clusters run steps at once, and how long a cluster takes to be there."""

    slots: int
    provision_seconds: float
    bootstrap_seconds: float


@dataclass(frozen=True)
class StartStep:
    cluster: Cluster
    step: Step


@dataclass(frozen=True)
class StopStep:
    cluster_id: ClusterId
    step_id: StepId


@dataclass(frozen=True)
class StopCluster:
    cluster_id: ClusterId


Action = StartStep | StopStep | StopCluster


class ControlPlane:
    def __init__(self, pace: Pace, clusters: Iterable[Cluster] = ()) -> None:
        self._pace = pace
        self._clusters = {cluster.cluster_id: cluster for cluster in clusters}
        self._changed: set[ClusterId] = set()
        self._stopping: set[ClusterId] = set()
        self._actions: list[Action] = []

    @property
    def clusters(self) -> list[Cluster]:
        """Every cluster, newest first."""
        return sorted(self._clusters.values(), key=lambda c: (c.created_at, c.cluster_id), reverse=True)

    def cluster(self, cluster_id: str) -> Cluster:
        found = self._clusters.get(ClusterId(cluster_id))
        if found is None:
            raise InvalidRequestError(f"Cluster id '{cluster_id}' is not valid.", "NoSuchCluster")
        return found

    def job_flow(self, job_flow_id: str, refusal: str) -> Cluster:
        """The cluster for the operations of EMR's older half, which refuse an unknown id in words of their own."""
        found = self._clusters.get(ClusterId(job_flow_id))
        if found is None:
            raise ValidationError(refusal)
        return found

    def run_job_flow(self, request: Mapping[str, Any], now: datetime) -> Cluster:
        kept = {key: value for key, value in request.items() if key not in ("Steps", "Tags")}
        cluster = Cluster(
            cluster_id=ClusterId(_new_id("j-")),
            request=kept,
            created_at=now,
            steps=_new_steps(request.get("Steps") or (), now),
            tags=tuple((tag["Key"], tag.get("Value", "")) for tag in request.get("Tags") or ()),
            termination_protected=bool(request["Instances"].get("TerminationProtected", False)),
        )
        self._put(cluster)
        return cluster

    def add_steps(
        self, cluster: Cluster, requests: Sequence[Mapping[str, Any]], now: datetime
    ) -> list[StepId]:
        if not cluster.state.takes_changes:
            raise ValidationError(
                "A job flow that is shutting down, terminated, or finished may not be modified."
            )
        unfinished = cluster.steps_in(StepState.PENDING, StepState.RUNNING, StepState.CANCEL_PENDING)
        if len(unfinished) + len(requests) > MAX_UNFINISHED_STEPS:
            raise ValidationError(
                f"Maximum number of active steps (state = 'Running', 'Pending' or 'Cancel Pending') for cluster "
                f"exceeded: at most {MAX_UNFINISHED_STEPS}."
            )
        steps = _new_steps(requests, now)
        self._put(lifecycle.add_steps(cluster, steps, now))
        return [step.step_id for step in steps]

    def cancel_step(self, cluster: Cluster, step: Step, now: datetime) -> None:
        self._put(lifecycle.cancel_step(cluster, step.step_id, now))
        if step.state is StepState.RUNNING:
            self._actions.append(StopStep(cluster.cluster_id, step.step_id))

    def terminate(self, cluster: Cluster, now: datetime) -> None:
        self._put(lifecycle.terminate(cluster, lifecycle.USER_REQUEST, now))

    def change(self, cluster: Cluster) -> None:
        """Take a cluster whose tags or protection were changed."""
        self._put(cluster)

    def step_ended(
        self, cluster_id: ClusterId, step_id: StepId, end: lifecycle.StepEnd, now: datetime
    ) -> None:
        self._put(lifecycle.end_step(self._clusters[cluster_id], step_id, end, now))

    def cluster_stopped(self, cluster_id: ClusterId, now: datetime) -> None:
        cluster = self._clusters[cluster_id]
        self._stopping.discard(cluster_id)
        if cluster.state is ClusterState.TERMINATING:
            self._put(lifecycle.finish(cluster, now))

    def lose_all(self, message: str, now: datetime) -> None:
        for cluster in list(self._clusters.values()):
            self._put(lifecycle.lose(cluster, message, now))

    def advance(self, now: datetime) -> list[Action]:
        """Move every cluster as far as `now` allows; what the machine must do comes back, in order."""
        for cluster in self._in_turn():
            if cluster.state is ClusterState.STARTING:
                self._advance_starting(cluster, now)
            elif cluster.state is ClusterState.BOOTSTRAPPING:
                self._advance_bootstrapping(cluster, now)
            self._advance_steps(cluster.cluster_id, now)
            self._advance_terminating(cluster.cluster_id)
        actions, self._actions = self._actions, []
        return actions

    def next_due(self) -> datetime | None:
        """When a waiting time next runs out; None where only an event can move anything."""
        due = [self._provisioned_at(c) for c in self._clusters.values() if self._is_provisioning(c)]
        due += [
            c.bootstrapping_since + timedelta(seconds=self._pace.bootstrap_seconds)
            for c in self._clusters.values()
            if c.state is ClusterState.BOOTSTRAPPING and c.bootstrapping_since
        ]
        return min(due, default=None)

    def take_changed(self) -> list[Cluster]:
        """The clusters that changed since the last call, for the store."""
        changed = [self._clusters[cluster_id] for cluster_id in self._changed]
        self._changed.clear()
        return changed

    def _advance_starting(self, cluster: Cluster, now: datetime) -> None:
        if now < self._provisioned_at(cluster):
            return
        if self._free_slots() > 0:
            self._put(lifecycle.bootstrap(cluster, now))
        elif cluster.wants_slot_since is None:
            self._put(replace(cluster, wants_slot_since=self._provisioned_at(cluster)))

    def _advance_bootstrapping(self, cluster: Cluster, now: datetime) -> None:
        since = cluster.bootstrapping_since or now
        if now >= since + timedelta(seconds=self._pace.bootstrap_seconds):
            self._put(lifecycle.become_ready(cluster, now))

    def _advance_steps(self, cluster_id: ClusterId, now: datetime) -> None:
        cluster = self._clusters[cluster_id]
        if cluster.state not in (ClusterState.RUNNING, ClusterState.WAITING):
            return
        pending = cluster.steps_in(StepState.PENDING)
        if not pending:
            # also where the last pending step was cancelled: there is nothing left to wait for
            self._put(lifecycle.settle(cluster, now))
            return
        busy = cluster.steps_in(StepState.RUNNING, StepState.CANCEL_PENDING)
        if not busy and (cluster.has_slot or self._free_slots() > 0):
            started = lifecycle.start_step(cluster, pending[0].step_id, now)
            self._put(started)
            self._actions.append(StartStep(started, pending[0]))

    def _advance_terminating(self, cluster_id: ClusterId) -> None:
        cluster = self._clusters[cluster_id]
        if cluster.state is ClusterState.TERMINATING and cluster_id not in self._stopping:
            self._stopping.add(cluster_id)
            self._actions.append(StopCluster(cluster_id))

    def _in_turn(self) -> list[Cluster]:
        """Live clusters; those that wait for a slot in the order in which they began to want it."""
        live = [cluster for cluster in self._clusters.values() if not cluster.state.is_over]
        return sorted(live, key=lambda c: (c.wants_slot_since or self._provisioned_at(c), c.created_at))

    def _free_slots(self) -> int:
        return self._pace.slots - sum(cluster.has_slot for cluster in self._clusters.values())

    def _is_provisioning(self, cluster: Cluster) -> bool:
        return cluster.state is ClusterState.STARTING and cluster.wants_slot_since is None

    def _provisioned_at(self, cluster: Cluster) -> datetime:
        return cluster.created_at + timedelta(seconds=self._pace.provision_seconds)

    def _put(self, cluster: Cluster) -> None:
        if self._clusters.get(cluster.cluster_id) != cluster:
            self._clusters[cluster.cluster_id] = cluster
            self._changed.add(cluster.cluster_id)


def _new_id(prefix: str, choice: Callable[[str], str] = secrets.choice) -> str:
    return prefix + "".join(choice(_ID_ALPHABET) for _ in range(13))


def _new_steps(requests: Iterable[Mapping[str, Any]], now: datetime) -> tuple[Step, ...]:
    return tuple(
        Step(step_id=StepId(_new_id("s-")), request=dict(request), created_at=now) for request in requests
    )
