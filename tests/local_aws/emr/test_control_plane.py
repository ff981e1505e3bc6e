"""The rules between clusters, with a clock of the test's own and nothing that sleeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from local_aws.emr import lifecycle
from local_aws.emr.control_plane import BootstrapEnd, ControlPlane, Pace, StartStep, StopCluster, StopStep
from local_aws.emr.errors import ValidationError
from local_aws.emr.nodes import nodes
from local_aws.emr.step_life import StepEnd
from local_aws.emr.store import ClusterStore, StoreError
from local_aws.emr.values import Cluster, ClusterState, Failure, StepState
from local_aws.faults.kinds import LoseNode

START = datetime(2026, 11, 23, 2, tzinfo=timezone.utc)
FAILED = StepEnd(Failure("Unknown Error.", "no"))


class Story:
    """A control plane and a clock that is moved by hand."""

    def __init__(self, slots: int = 1) -> None:
        self.plane = ControlPlane(Pace(slots=slots, provision_seconds=10, bootstrap_seconds=5))
        self.now = START
        self.actions: list[Any] = []

    def launch(
        self,
        *on_failure: str,
        keep_alive: bool = False,
        protected: bool = False,
        cores: int = 0,
        primaries: int = 1,
    ) -> str:
        steps = [
            {
                "Name": f"step {number}",
                "ActionOnFailure": action,
                "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["bash"]},
            }
            for number, action in enumerate(on_failure)
        ]
        groups = [{"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": primaries}]
        if cores:
            groups.append({"InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": cores})
        instances = {
            "InstanceGroups": groups,
            "KeepJobFlowAliveWhenNoSteps": keep_alive,
            "TerminationProtected": protected,
        }
        request = {"Name": "c", "Instances": instances, "Steps": steps}
        cluster_id = self.plane.run_job_flow(request, self.now).cluster_id
        self.after(0)
        return str(cluster_id)

    def after(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.actions += self.plane.advance(self.now)

    def cluster(self, cluster_id: str) -> Cluster:
        return self.plane.cluster(cluster_id)

    def state(self, cluster_id: str) -> ClusterState:
        return self.cluster(cluster_id).state

    def step_states(self, cluster_id: str) -> list[StepState]:
        return [step.state for step in self.cluster(cluster_id).steps]

    def end_step(self, cluster_id: str, end: StepEnd) -> None:
        cluster = self.cluster(cluster_id)
        running = next(step for step in cluster.steps if step.state.is_under_way)
        self.plane.step_ended(cluster.cluster_id, running.step_id, end, self.now)
        self.after(0)

    def stopped(self, cluster_id: str) -> None:
        self.plane.cluster_stopped(self.cluster(cluster_id).cluster_id, self.now)
        self.after(0)


def test_a_cluster_takes_its_waiting_times_and_ends_by_itself() -> None:
    story = Story()
    cluster_id = story.launch("CONTINUE")
    story.after(9.9)
    assert story.state(cluster_id) is ClusterState.STARTING
    assert story.plane.next_due() == START + timedelta(seconds=10)
    story.after(0.1)
    assert story.state(cluster_id) is ClusterState.BOOTSTRAPPING
    story.after(5)
    assert story.state(cluster_id) is ClusterState.RUNNING
    assert [type(action) for action in story.actions] == [StartStep]
    story.end_step(cluster_id, StepEnd())
    assert story.state(cluster_id) is ClusterState.TERMINATING
    assert story.actions[1:] == [StopCluster(story.cluster(cluster_id).cluster_id)]
    story.stopped(cluster_id)
    cluster = story.cluster(cluster_id)
    assert (cluster.state, cluster.reason) == (ClusterState.TERMINATED, lifecycle.ALL_STEPS_COMPLETED)
    assert (cluster.ready_at, cluster.ended_at) == (START + timedelta(seconds=15),) * 2
    assert story.plane.next_due() is None


@pytest.mark.parametrize("action", ["TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW"])
def test_a_failed_step_takes_its_cluster_along(action: str) -> None:
    story = Story()
    cluster_id = story.launch(action, "CONTINUE")
    story.after(10)
    story.after(5)
    story.end_step(cluster_id, FAILED)
    assert story.step_states(cluster_id) == [StepState.FAILED, StepState.CANCELLED]
    story.stopped(cluster_id)
    cluster = story.cluster(cluster_id)
    assert cluster.state is ClusterState.TERMINATED_WITH_ERRORS
    assert cluster.reason.code == "STEP_FAILURE"


def test_protection_keeps_a_cluster_that_is_kept_alive_through_a_failed_step() -> None:
    story = Story()
    cluster_id = story.launch("TERMINATE_CLUSTER", "CONTINUE", keep_alive=True, protected=True)
    story.after(10)
    story.after(5)
    story.end_step(cluster_id, FAILED)
    assert story.state(cluster_id) is ClusterState.WAITING
    assert story.step_states(cluster_id) == [StepState.FAILED, StepState.CANCELLED]


def test_slots_are_given_first_come_first_served() -> None:
    story = Story(slots=1)
    first = story.launch("CONTINUE")
    story.after(1)
    second = story.launch("CONTINUE")
    story.after(1)
    third = story.launch("CONTINUE")
    story.after(60)
    story.after(60)
    assert [story.state(c) for c in (second, third)] == [ClusterState.STARTING] * 2
    # a slot is free only when the processes of the cluster before are gone
    story.end_step(first, StepEnd())
    assert story.state(second) is ClusterState.STARTING
    story.stopped(first)
    assert story.state(second) is ClusterState.BOOTSTRAPPING
    assert story.state(third) is ClusterState.STARTING


def test_an_idle_cluster_holds_no_slot_and_queues_again_for_its_next_step() -> None:
    story = Story(slots=1)
    idle = story.launch(keep_alive=True)
    story.after(10)
    story.after(5)
    assert story.state(idle) is ClusterState.WAITING
    busy = story.launch("CONTINUE")
    story.after(10)
    step = {"Name": "late", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["bash"]}}
    story.plane.add_steps(story.cluster(idle), [step], story.now)
    story.after(5)
    assert story.state(busy) is ClusterState.RUNNING
    assert (story.state(idle), story.step_states(idle)) == (ClusterState.WAITING, [StepState.PENDING])
    story.end_step(busy, StepEnd())
    story.stopped(busy)
    assert (story.state(idle), story.step_states(idle)) == (ClusterState.RUNNING, [StepState.RUNNING])


def test_a_cluster_terminated_before_it_started_never_starts() -> None:
    story = Story()
    cluster_id = story.launch("CONTINUE")
    story.plane.terminate(story.cluster(cluster_id), story.now)
    story.after(0)
    assert story.state(cluster_id) is ClusterState.TERMINATED
    story.after(100)
    assert story.step_states(cluster_id) == [StepState.CANCELLED]
    assert story.actions == []


def test_a_step_that_ends_well_while_its_cluster_is_terminated_has_completed() -> None:
    story = Story()
    cluster_id = story.launch("CONTINUE")
    story.after(10)
    story.after(5)
    story.plane.terminate(story.cluster(cluster_id), story.now)
    story.end_step(cluster_id, StepEnd())
    assert story.step_states(cluster_id) == [StepState.COMPLETED]
    assert story.cluster(cluster_id).reason == lifecycle.USER_REQUEST


def test_a_cluster_that_is_over_stays_so_whatever_is_reported_later() -> None:
    story = Story()
    cluster_id = story.launch("CONTINUE", keep_alive=True)
    story.after(10)
    story.after(5)
    story.plane.terminate(story.cluster(cluster_id), story.now)
    story.after(0)
    story.stopped(cluster_id)
    over = story.cluster(cluster_id)
    assert (over.state, story.step_states(cluster_id)) == (ClusterState.TERMINATED, [StepState.CANCELLED])
    story.plane.step_ended(over.cluster_id, over.steps[0].step_id, FAILED, story.now)
    story.plane.bootstrap_ended(over.cluster_id, BootstrapEnd(), story.now)
    story.after(0)
    assert story.cluster(cluster_id) == over
    with pytest.raises(ValueError, match="is TERMINATED and cannot become WAITING"):
        story.plane.change(replace(over, state=ClusterState.WAITING), story.now)


def test_a_cancelled_running_step_lets_the_next_one_run() -> None:
    story = Story()
    cluster_id = story.launch("TERMINATE_CLUSTER", "CONTINUE")
    story.after(10)
    story.after(5)
    cluster = story.cluster(cluster_id)
    story.plane.cancel_step(cluster, cluster.steps[0], story.now)
    story.after(0)
    assert story.actions[-1] == StopStep(cluster.cluster_id, cluster.steps[0].step_id)
    story.end_step(cluster_id, FAILED)
    assert story.step_states(cluster_id) == [StepState.CANCELLED, StepState.RUNNING]


def test_a_failed_step_spares_the_cluster_where_steps_run_side_by_side_since() -> None:
    story = Story()
    cluster_id = story.launch("TERMINATE_CLUSTER", "TERMINATE_CLUSTER", "CONTINUE", keep_alive=True)
    story.after(10)
    story.after(5)
    story.plane.change(replace(story.cluster(cluster_id), step_concurrency=2), story.now)
    story.after(0)
    assert story.step_states(cluster_id) == [StepState.RUNNING, StepState.RUNNING, StepState.PENDING]
    story.end_step(cluster_id, FAILED)
    assert story.state(cluster_id) is ClusterState.RUNNING
    assert story.step_states(cluster_id) == [StepState.FAILED, StepState.RUNNING, StepState.RUNNING]


def test_a_lost_node_is_replaced_after_the_time_a_node_takes() -> None:
    story = Story()
    cluster_id = story.launch(keep_alive=True, cores=2)
    story.after(10)
    story.after(5)
    story.plane.faults.add([LoseNode(market="ANY")], story.now)
    story.plane.faults_changed()

    def states() -> list[str]:
        story.after(0)
        return [node.state for node in nodes(story.cluster(cluster_id), story.now)]

    assert states() == ["RUNNING", "TERMINATED", "RUNNING", "PROVISIONING"]
    story.after(15)
    assert states() == ["RUNNING", "TERMINATED", "RUNNING", "RUNNING"]


@pytest.mark.parametrize(
    ("role", "seconds_between", "goes_on"),
    [("CORE", 15, True), ("CORE", 14, False), ("MASTER", 15, True), ("MASTER", 14, False)],
)
def test_nodes_lost_one_by_one_end_a_cluster_only_before_others_are_ready(
    role: Any, seconds_between: float, goes_on: bool
) -> None:
    story = Story()
    cluster_id = story.launch(keep_alive=True, cores=2, primaries=3)
    story.after(10)
    story.after(5)
    for number in range(2):
        story.plane.faults.add([LoseNode(role=role, market="ANY", times=1)], story.now)
        story.plane.faults_changed()
        story.after(0)
        assert story.cluster(cluster_id).state.is_over == (number == 1 and not goes_on)
        story.after(seconds_between)
    assert story.cluster(cluster_id).reason.code == (None if goes_on else "INSTANCE_FAILURE")


@pytest.mark.timeout(120)
def test_nodes_that_were_to_be_lost_later_do_not_keep_a_cluster_that_is_over() -> None:
    story = Story()
    cluster_id = story.launch(keep_alive=True, cores=1)
    story.plane.faults.add([LoseNode(market="ANY", after_seconds=60)], story.now)
    story.after(10)
    story.after(5)
    story.plane.terminate(story.cluster(cluster_id), story.now)
    story.after(0)
    assert story.plane.next_due() is None
    story.after(100)
    assert story.state(cluster_id) is ClusterState.TERMINATED


def test_a_cluster_whose_wait_for_a_slot_was_called_off_is_idle() -> None:
    story = Story(slots=1)
    idle = story.launch(keep_alive=True)
    story.plane.change(replace(story.cluster(idle), idle_timeout_seconds=60), story.now)
    story.after(10)
    story.after(5)
    story.launch("CONTINUE")
    story.after(10)
    story.after(5)
    step = {"Name": "late", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["bash"]}}
    story.plane.add_steps(story.cluster(idle), [step], story.now)
    story.after(30)
    waiting = story.cluster(idle)
    assert waiting.wants_slot_since
    story.plane.cancel_step(waiting, waiting.steps[0], story.now)
    story.after(0)
    story.after(59)
    assert story.state(idle) is ClusterState.WAITING
    story.after(1)
    assert story.state(idle) is ClusterState.TERMINATED


def test_a_lost_cluster_is_terminating_before_it_is_over() -> None:
    seen: list[str] = []
    story = Story()
    story.plane = ControlPlane(
        Pace(slots=1, provision_seconds=10, bootstrap_seconds=5),
        watch=lambda _before, after, _now: seen.append(after.state.value),
    )
    cluster_id = story.launch("CONTINUE", "CONTINUE")
    story.after(10)
    story.after(5)
    story.plane.lose_all("gone", story.now)
    assert seen[-2:] == ["TERMINATING", "TERMINATED_WITH_ERRORS"]
    assert story.step_states(cluster_id) == [StepState.INTERRUPTED, StepState.CANCELLED]
    assert story.cluster(cluster_id).reason == lifecycle.Reason("INTERNAL_ERROR", "gone")


def test_idle_time_counts_from_the_last_step_and_ends_the_cluster() -> None:
    story = Story()
    cluster_id = story.launch("CONTINUE", keep_alive=True)
    story.plane.change(replace(story.cluster(cluster_id), idle_timeout_seconds=60), story.now)
    story.after(10)
    story.after(5)
    story.after(300)
    story.end_step(cluster_id, StepEnd())
    story.after(59)
    assert story.state(cluster_id) is ClusterState.WAITING
    assert story.plane.next_due() == story.now + timedelta(seconds=1)
    story.after(1)
    assert story.state(cluster_id) is ClusterState.TERMINATING


def test_a_cluster_takes_no_more_than_256_unfinished_steps() -> None:
    story = Story()
    cluster_id = story.launch(*["CONTINUE"] * 256)
    with pytest.raises(ValidationError, match="at most 256"):
        story.plane.add_steps(story.cluster(cluster_id), [{"Name": "one more"}], story.now)


def test_a_cluster_comes_back_from_its_file_as_it_was(tmp_path: Any) -> None:
    story = Story()
    cluster_id = story.launch("CONTINUE", "CONTINUE")
    story.after(10)
    story.after(5)
    story.end_step(cluster_id, FAILED)
    store = ClusterStore(tmp_path)
    store.save(story.plane.take_changed())
    assert store.load() == [story.cluster(cluster_id)]
    assert story.plane.take_changed() == []


def test_a_store_keeps_each_clusters_last_state_and_drops_a_torn_line(tmp_path: Any) -> None:
    story = Story()
    first, second = story.launch("CONTINUE"), story.launch("CONTINUE")
    store = ClusterStore(tmp_path)
    store.save(story.plane.take_changed())
    story.after(10)
    store.save(story.plane.take_changed())
    file = tmp_path / "clusters.jsonl"
    with file.open("ab") as torn:
        torn.write(b'{"cluster_id": "j-')
    assert len(file.read_text().splitlines()) > 3
    for _ in range(2):
        loaded = {cluster.cluster_id: cluster for cluster in ClusterStore(tmp_path).load()}
        assert loaded == {c.cluster_id: c for c in (story.cluster(first), story.cluster(second))}
        assert len(file.read_text().splitlines()) == 2
    file.write_text('{"cluster_id": "j-1"}\n')
    with pytest.raises(StoreError, match=r"clusters\.jsonl, line 1: not a cluster"):
        ClusterStore(tmp_path).load()
