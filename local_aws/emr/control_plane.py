"""All clusters of this process and the rules between them: ids, slots, waiting times, what befalls whom.

Pure but for the ids: every method takes the time; nothing sleeps, starts or stops anything. `advance` moves
every cluster as far as the time allows and hands back what the machine must now do. Slots are given first
come, first served: a cluster that gets none stays STARTING (or WAITING, where it has run steps before).

Only clusters that changed, or whose time has come, are looked at: a thousand that wait cost nothing.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from local_aws.emr import befalling, lifecycle, step_life
from local_aws.emr.agenda import Agenda
from local_aws.emr.capacity import Capacity
from local_aws.emr.errors import InvalidRequestError, ValidationError
from local_aws.emr.step_life import StepEnd
from local_aws.emr.values import Cluster, ClusterId, ClusterState, Step, StepId, StepPlan, StepState
from local_aws.faults.book import FaultBook

MAX_UNFINISHED_STEPS = 256
_ID_ALPHABET = string.ascii_uppercase + string.digits

Watch = Callable[[Cluster | None, Cluster, datetime], None]


@dataclass(frozen=True)
class Pace:
    """How many clusters run steps at once, and how long a cluster takes to be there and to be gone.

    :param simulate_seconds: how long every step lasts instead of being run; None: steps are run
    :param run_bootstrap_actions: whether bootstrap actions are run as processes, rather than just take their time
    :param vcpus: what all clusters together may have; None: any number
    :param speed: how many times as fast as EMR's the times pass that a request asks for (idle and provisioning
        timeouts)
    """

    slots: int
    provision_seconds: float
    bootstrap_seconds: float
    terminate_seconds: float = 0.0
    simulate_seconds: float | None = None
    run_bootstrap_actions: bool = False
    vcpus: int | None = None
    speed: float = 1.0


@dataclass(frozen=True)
class StartStep:
    cluster: Cluster
    step: Step


@dataclass(frozen=True)
class StartBootstrap:
    cluster: Cluster


@dataclass(frozen=True)
class BootstrapEnd:
    """How a cluster's bootstrap actions ended. :param action: the number of the one that failed, from 1"""

    action: int = 1
    exit_code: int | None = None


@dataclass(frozen=True)
class StopStep:
    """:param at_once: without the time that a process has to end by itself"""

    cluster_id: ClusterId
    step_id: StepId
    at_once: bool = False


@dataclass(frozen=True)
class StopCluster:
    cluster_id: ClusterId


Action = StartStep | StartBootstrap | StopStep | StopCluster


class ControlPlane:
    """:param watch: told of every change of a cluster, with what it was before"""

    def __init__(
        self,
        pace: Pace,
        clusters: Iterable[Cluster] = (),
        *,
        faults: FaultBook | None = None,
        watch: Watch = lambda _before, _after, _now: None,
    ) -> None:
        self.faults = faults or FaultBook()
        self._pace = pace
        self._watch = watch
        # in the order in which they were made
        self._clusters = {c.cluster_id: c for c in sorted(clusters, key=lambda c: c.created_at)}
        self._agenda = Agenda()
        self._capacity = Capacity(slots=pace.slots, vcpus=pace.vcpus)
        self._changed: set[ClusterId] = set()
        self._stopping: set[ClusterId] = set()
        self._actions: list[Action] = []

    @property
    def clusters(self) -> list[Cluster]:
        """Every cluster, newest first."""
        return list(reversed(self._clusters.values()))

    def cluster(self, cluster_id: str) -> Cluster:
        found = self._clusters.get(ClusterId(cluster_id))
        if found is None:
            raise InvalidRequestError(f"Cluster id '{cluster_id}' is not valid.", "NoSuchCluster")
        return found

    def find(self, cluster_id: str) -> Cluster | None:
        return self._clusters.get(ClusterId(cluster_id))

    def job_flow(self, job_flow_id: str, refusal: str) -> Cluster:
        """The cluster for the operations of EMR's older half, which refuse an unknown id in words of their own."""
        found = self.find(job_flow_id)
        if found is None:
            raise ValidationError(refusal)
        return found

    def run_job_flow(self, request: Mapping[str, Any], now: datetime) -> Cluster:
        kept = {key: value for key, value in request.items() if key not in ("Steps", "Tags")}
        cluster = Cluster(
            cluster_id=ClusterId(_new_id("j-")),
            request=kept,
            created_at=now,
            tags=tuple((tag["Key"], tag.get("Value", "")) for tag in request.get("Tags") or ()),
            termination_protected=bool(request["Instances"].get("TerminationProtected", False)),
            step_concurrency=int(request.get("StepConcurrencyLevel", 1)),
            managed_scaling=request.get("ManagedScalingPolicy"),
            idle_timeout_seconds=(request.get("AutoTerminationPolicy") or {}).get("IdleTimeout"),
        )
        steps = self._new_steps(cluster, request.get("Steps") or (), now)
        made = replace(cluster, steps=steps)
        self._put(befalling.deny_instances(made, self.faults, self._pace.speed, now), now)
        return self._clusters[cluster.cluster_id]

    def add_steps(
        self, cluster: Cluster, requests: Sequence[Mapping[str, Any]], now: datetime
    ) -> list[StepId]:
        unfinished = cluster.steps_in(StepState.PENDING, StepState.RUNNING, StepState.CANCEL_PENDING)
        if len(unfinished) + len(requests) > MAX_UNFINISHED_STEPS:
            raise ValidationError(
                f"Maximum number of active steps (state = 'Running', 'Pending' or 'Cancel Pending') for cluster "
                f"exceeded: at most {MAX_UNFINISHED_STEPS}."
            )
        steps = self._new_steps(cluster, requests, now)
        self._put(step_life.add_steps(cluster, steps), now)
        return [step.step_id for step in steps]

    def cancel_step(self, cluster: Cluster, step: Step, now: datetime, *, at_once: bool = False) -> None:
        self._put(step_life.cancel_step(cluster, step.step_id, now), now)
        if step.state is StepState.RUNNING and step.plan is None:
            self._actions.append(StopStep(cluster.cluster_id, step.step_id, at_once))

    def terminate(self, cluster: Cluster, now: datetime) -> None:
        self._put(lifecycle.terminate(cluster, lifecycle.USER_REQUEST, now), now)

    def change(self, cluster: Cluster, now: datetime) -> None:
        """Take a cluster of which a request changed what it may change at any time: tags, protection, policies."""
        self._put(cluster, now)

    def faults_changed(self) -> None:
        """Look at every live cluster again: a fault may now hit it, or hold it no longer."""
        self._agenda.at_once(c.cluster_id for c in self._clusters.values() if not c.state.is_over)

    def step_ended(self, cluster_id: ClusterId, step_id: StepId, end: StepEnd, now: datetime) -> None:
        self._put(step_life.end_step(self._clusters[cluster_id], step_id, end, now), now)

    def bootstrap_ended(self, cluster_id: ClusterId, end: BootstrapEnd, now: datetime) -> None:
        cluster = self._clusters[cluster_id]
        if cluster.state.is_over:
            return
        ended = replace(
            cluster,
            runs_bootstrap=False,
            bootstrap_exit_code=end.exit_code,
            bootstrap_action=end.action,
        )
        self._put(ended, now)

    def cluster_stopped(self, cluster_id: ClusterId, now: datetime) -> None:
        cluster = self._clusters[cluster_id]
        self._stopping.discard(cluster_id)
        if cluster.state is ClusterState.TERMINATING:
            self._put(lifecycle.finish(cluster, now), now)

    def lose_all(self, message: str, now: datetime) -> None:
        """No cluster that is live goes on: that of an earlier life of this process, or of one that ends."""
        for cluster in [each for each in self._clusters.values() if not each.state.is_over]:
            self._put(lifecycle.lose(cluster, message, now), now)
            self._put(lifecycle.finish(self._clusters[cluster.cluster_id], now), now)

    def advance(self, now: datetime, *, at_most: int | None = None) -> list[Action]:
        """Move the clusters on as far as `now` allows; what the machine must do comes back, in order.

        :param at_most: of the clusters whose time has come; the others stay due
        """
        left = at_most
        while True:
            due = self._agenda.take_due(now, left)
            left = None if left is None else left - len(due)
            ready = due | self._agenda.take_changed() | self._capacity.take_released()
            if not ready:
                break
            for cluster_id in self._in_turn(ready):
                self._move_on(cluster_id, now)
        actions, self._actions = self._actions, []
        return actions

    def next_due(self) -> datetime | None:
        """When a waiting time next runs out; None where only an event can move anything."""
        return self._agenda.next_due()

    def take_changed(self) -> list[Cluster]:
        """The clusters that changed since the last call, for the store."""
        changed = [self._clusters[cluster_id] for cluster_id in self._changed]
        self._changed.clear()
        return changed

    def _move_on(self, cluster_id: ClusterId, now: datetime) -> None:
        cluster = self._clusters[cluster_id]
        if cluster.state is ClusterState.STARTING:
            self._advance_starting(cluster, now)
        elif cluster.state is ClusterState.BOOTSTRAPPING:
            self._advance_bootstrapping(cluster, now)
        elif cluster.state in (ClusterState.RUNNING, ClusterState.WAITING):
            self._advance_ready(cluster, now)
        elif cluster.state is ClusterState.TERMINATING:
            self._advance_terminating(cluster, now)
        self._agenda.plan(cluster_id, self._due(self._clusters[cluster_id]))

    def _advance_starting(self, cluster: Cluster, now: datetime) -> None:
        self._put(befalling.without_instances(cluster, self.faults, now), now)
        cluster = self._clusters[cluster.cluster_id]
        waits = cluster.no_instances is not None or now < self._provisioned_at(cluster)
        if cluster.state is not ClusterState.STARTING or waits:
            return
        if self._capacity.never_fits(cluster):
            self._put(lifecycle.exceed_quota(cluster, now), now)
        elif self._capacity.fits(cluster):
            self._bootstrap(befalling.fail_bootstrap(cluster, self.faults, now), now)
        elif cluster.wants_slot_since is None:
            self._put(replace(cluster, wants_slot_since=now), now)

    def _bootstrap(self, cluster: Cluster, now: datetime) -> None:
        actions = cluster.request.get("BootstrapActions")
        runs = bool(actions) and self._pace.run_bootstrap_actions and cluster.bootstrap_exit_code is None
        begun = lifecycle.bootstrap(cluster, now)
        if runs:
            begun = replace(begun, runs_bootstrap=True, used_machine=True)
            self._actions.append(StartBootstrap(begun))
        self._put(begun, now)

    def _advance_bootstrapping(self, cluster: Cluster, now: datetime) -> None:
        if cluster.runs_bootstrap or now < self._bootstrapped_at(cluster):
            return
        if cluster.bootstrap_exit_code is not None:
            self._put(lifecycle.fail_bootstrap(cluster, now), now)
        else:
            self._put(lifecycle.become_ready(cluster, now), now)

    def _advance_ready(self, cluster: Cluster, now: datetime) -> None:
        replacement = timedelta(seconds=self._pace.provision_seconds + self._pace.bootstrap_seconds)
        self._put(befalling.lose_nodes(cluster, self.faults, replacement, now), now)
        cluster = self._clusters[cluster.cluster_id]
        for step in cluster.steps:
            if step.plan is not None and _has_ended(step, now):
                cluster = step_life.end_planned_step(cluster, step, now)
        self._put(cluster, now)
        while self._start_step(self._clusters[cluster.cluster_id], now):
            pass
        cluster = self._clusters[cluster.cluster_id]
        idle_until = self._idle_until(cluster)
        if idle_until is not None and now >= idle_until:
            self._put(lifecycle.end_idle(cluster, now), now)

    def _start_step(self, cluster: Cluster, now: datetime) -> bool:
        """Start the next pending step, if it may start now; whether it did."""
        if not cluster.state.takes_changes:
            return False
        pending = cluster.steps_in(StepState.PENDING)
        if not pending:
            # also where the last pending step was cancelled: there is nothing left to wait for
            self._put(lifecycle.settle(cluster, now), now)
            return False
        step = pending[0]
        busy = cluster.steps_in(StepState.RUNNING, StepState.CANCEL_PENDING)
        if len(busy) >= cluster.step_concurrency:
            return False
        if step.plan is None and not cluster.has_slot and not self._capacity.has_slot:
            self._put(replace(cluster, wants_slot_since=cluster.wants_slot_since or now), now)
            return False
        plan = befalling.plan_step(cluster, step, self.faults, now)
        started = step_life.start_step(cluster, step.step_id, plan, now)
        self._put(started, now)
        if plan is None:
            self._actions.append(StartStep(started, step))
        return True

    def _advance_terminating(self, cluster: Cluster, now: datetime) -> None:
        if not cluster.used_machine:
            if now >= self._terminated_at(cluster):
                self._put(lifecycle.finish(cluster, now), now)
        elif cluster.cluster_id not in self._stopping:
            self._stopping.add(cluster.cluster_id)
            self._actions.append(StopCluster(cluster.cluster_id))

    def _due(self, cluster: Cluster) -> datetime | None:
        """When the cluster can next move on by time alone."""
        if cluster.state.is_over:
            return None
        if cluster.state is ClusterState.STARTING:
            if cluster.no_instances is not None:
                return befalling.denied_until(cluster.no_instances, self.faults)
            return None if cluster.wants_slot_since else self._provisioned_at(cluster)
        if cluster.state is ClusterState.BOOTSTRAPPING:
            return None if cluster.runs_bootstrap else self._bootstrapped_at(cluster)
        if cluster.state is ClusterState.TERMINATING:
            return None if cluster.used_machine else self._terminated_at(cluster)
        due = [loss.at for loss in cluster.losses if not loss.happened]
        due += [end for step in cluster.steps_in(StepState.RUNNING) if (end := step.planned_end)]
        idle_until = self._idle_until(cluster)
        return min(due if idle_until is None else [*due, idle_until], default=None)

    def _idle_until(self, cluster: Cluster) -> datetime | None:
        """When the auto-termination policy ends the cluster, if it goes on being idle.

        A protected cluster is not ended by it; one whose steps wait for a slot of this machine is not idle.
        """
        seconds, since = cluster.idle_timeout_seconds, cluster.idle_since
        if seconds is None or since is None or cluster.termination_protected or cluster.wants_slot_since:
            return None
        return since + timedelta(seconds=seconds / self._pace.speed)

    def _in_turn(self, cluster_ids: Iterable[ClusterId]) -> list[ClusterId]:
        """Those that wait for a slot in the order in which they began to want it, then the others."""

        def turn(cluster_id: ClusterId) -> tuple[datetime, datetime]:
            cluster = self._clusters[cluster_id]
            return cluster.wants_slot_since or self._provisioned_at(cluster), cluster.created_at

        return sorted(cluster_ids, key=turn)

    def _provisioned_at(self, cluster: Cluster) -> datetime:
        return cluster.created_at + timedelta(seconds=self._pace.provision_seconds)

    def _bootstrapped_at(self, cluster: Cluster) -> datetime:
        since = cluster.bootstrapping_since or cluster.created_at
        return since + timedelta(seconds=self._pace.bootstrap_seconds)

    def _terminated_at(self, cluster: Cluster) -> datetime:
        since = cluster.terminating_since or cluster.created_at
        return since + timedelta(seconds=self._pace.terminate_seconds)

    def _put(self, cluster: Cluster, now: datetime) -> None:
        cluster_id = cluster.cluster_id
        before = self._clusters.get(cluster_id)
        if before == cluster:
            return
        if before is not None and before.state.is_over and cluster.state is not before.state:
            raise ValueError(f"{cluster_id} is {before.state.value} and cannot become {cluster.state.value}")
        cluster = lifecycle.remember(before, cluster, now)
        self._clusters[cluster_id] = cluster
        self._changed.add(cluster_id)
        self._agenda.at_once([cluster_id])
        self._capacity.see(cluster)
        self._watch(before, cluster, now)

    def _new_steps(
        self, cluster: Cluster, requests: Iterable[Mapping[str, Any]], now: datetime
    ) -> tuple[Step, ...]:
        default = None if self._pace.simulate_seconds is None else StepPlan(self._pace.simulate_seconds)
        steps = [
            Step(step_id=StepId(_new_id("s-")), request=dict(request), created_at=now) for request in requests
        ]
        return tuple(
            replace(step, plan=befalling.simulate_step(cluster, step, self.faults, now) or default)
            for step in steps
        )


def _has_ended(step: Step, now: datetime) -> bool:
    """Whether a step without a process ends now: a cancelled one does so at once."""
    if step.state is StepState.CANCEL_PENDING:
        return True
    end = step.planned_end
    return step.state is StepState.RUNNING and end is not None and now >= end


def _new_id(prefix: str, choice: Callable[[str], str] = secrets.choice) -> str:
    return prefix + "".join(choice(_ID_ALPHABET) for _ in range(13))
