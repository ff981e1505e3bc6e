"""Steps as threads and processes of this machine: none is lost between its start, its end and its stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from local_aws.emr.control_plane import Action, ControlPlane, Pace, StartStep, StopCluster
from local_aws.emr.service import EmrService
from local_aws.emr.store import ClusterStore
from local_aws.emr.values import Cluster, ClusterState, StepState
from local_aws.settings import Settings
from local_aws.steps import processes
from local_aws.steps.bootstrap_run import BootstrapRun
from local_aws.steps.machine import Machine
from local_aws.steps.machinery import StepMachinery
from local_aws.steps.step_run import StepRun

PACE = Pace(slots=2, provision_seconds=0.02, bootstrap_seconds=0, run_bootstrap_actions=True)


class NoS3:
    """A client whose every call fails in a way that botocore's own errors do not cover."""

    def __getattr__(self, name: str) -> Any:
        raise OSError(f"no {name} today")


class SlowToStart(StepMachinery):
    performed: tuple[str, ...] = ()

    def perform(self, action: Action, service: EmrService) -> None:
        if isinstance(action, StartStep):
            time.sleep(0.3)
        super().perform(action, service)
        self.performed += (type(action).__name__,)


class Place:
    """One service with one machinery, and what the tests ask of them."""

    def __init__(self, root: Path, machinery: type[Any] = StepMachinery) -> None:
        self.root = root
        settings = Settings(root=root, grace_seconds=0.2)
        files: Any = None
        machine = Machine(settings, "http://127.0.0.1:9", NoS3(), {}, files)
        store = ClusterStore(root / "emr")
        self.machinery: Any = machinery(machine, store)
        self.service = EmrService(ControlPlane(PACE), store, self.machinery)
        self.service.start()

    def launch(self, *args: str, **members: Any) -> Cluster:
        group = {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}
        jar = {"Jar": "command-runner.jar", "Args": args}
        request = {
            "Name": "c",
            "Instances": {"InstanceGroups": [group], "KeepJobFlowAliveWhenNoSteps": True},
            "Steps": [{"Name": "s", "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}],
            **members,
        }
        return self.service.change(lambda plane, now: plane.run_job_flow(request, now))

    def now(self, cluster: Cluster) -> Cluster:
        return self.service.look(lambda plane, _: plane.cluster(cluster.cluster_id))

    def wait(self, cluster: Cluster, holds: Callable[[Cluster], bool]) -> Cluster:
        give_up_at = time.monotonic() + 120
        while not holds(self.now(cluster)):
            assert time.monotonic() < give_up_at, f"stuck: {self.now(cluster)}"
            time.sleep(0.002)
        return self.now(cluster)

    def running(self) -> list[str]:
        return [" ".join(process.cmdline()) for process in processes.belonging(processes.marker(self.root))]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Place]]:
    # a machine that stands still must not look like processes that cannot be ended
    monkeypatch.setattr(processes, "_GIVE_UP_AFTER_SECONDS", 120)
    made: list[Place] = []

    def make(**options: Any) -> Place:
        made.append(Place(tmp_path, **options))
        return made[-1]

    yield make
    for each in made:
        each.service.close("the test is over")
        each.machinery.stop_everything()


def is_running(cluster: Cluster) -> bool:
    return cluster.steps[0].state is StepState.RUNNING


def is_over(cluster: Cluster) -> bool:
    return cluster.state.is_over


def test_a_cluster_terminated_while_its_step_starts_leaves_no_process(
    place: Callable[..., Place], caplog: pytest.LogCaptureFixture
) -> None:
    here = place(machinery=SlowToStart)
    cluster = here.launch("bash", "-c", "sleep 600")
    here.wait(cluster, is_running)
    here.service.change(lambda plane, now: plane.terminate(plane.cluster(cluster.cluster_id), now))
    ended = here.wait(cluster, is_over)
    assert (ended.state, ended.steps[0].state) == (ClusterState.TERMINATED, StepState.CANCELLED)
    assert here.machinery.performed == ("StartStep", "StopCluster")
    # it would be over as well after giving up on its processes
    assert "could be ended" not in caplog.text
    assert here.running() == []


def test_a_step_cancelled_while_it_starts_is_cancelled(place: Callable[..., Place]) -> None:
    here = place(machinery=SlowToStart)
    cluster = here.wait(here.launch("bash", "-c", "sleep 600"), is_running)
    here.service.change(lambda plane, now: plane.cancel_step(cluster, cluster.steps[0], now))
    here.wait(cluster, lambda each: each.steps[0].state is StepState.CANCELLED)
    assert here.machinery.performed == ("StartStep", "StopStep")
    assert here.running() == []


def test_a_cluster_is_not_stopped_before_its_steps_end_is_known(place: Callable[..., Place]) -> None:
    here = place()
    told: list[str] = []
    step_reports, all_told = Event(), Event()

    class Slow:
        """A service, and its plane, that take their time for the step's report."""

        def change(self, alter: Any) -> None:
            alter(self, None)

        def step_ended(self, *_: Any) -> None:
            step_reports.set()
            time.sleep(0.5)
            told.append("step")

        def cluster_stopped(self, *_: Any) -> None:
            told.append("cluster")
            all_told.set()

    service: Any = Slow()
    here.service.close("only its machinery is asked")
    cluster = here.launch("bash", "-c", "true")
    here.machinery.perform(StartStep(cluster, cluster.steps[0]), service)
    assert step_reports.wait(120)
    here.machinery.perform(StopCluster(cluster.cluster_id), service)
    assert all_told.wait(120)
    assert told == ["step", "cluster"]


def test_a_step_that_cannot_be_run_has_failed(
    place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: StepRun) -> Any:
        raise OSError("No space left on device")

    monkeypatch.setattr(StepRun, "run", full)
    here = place()
    ended = here.wait(here.launch("bash", "-c", "true"), lambda each: each.steps[0].ended_at is not None)
    assert ended.steps[0].state is StepState.FAILED
    assert ended.steps[0].failure is not None
    assert ended.steps[0].failure.message == "local_aws could not run it: OSError: No space left on device"


def test_an_argument_that_is_no_text_fails_its_step(place: Callable[..., Place]) -> None:
    here = place()
    ended = here.wait(
        here.launch("bash", "-c", "echo \ud800"), lambda each: each.steps[0].ended_at is not None
    )
    assert ended.steps[0].state is StepState.FAILED
    controller = here.root / "emr" / ended.cluster_id / "steps" / ended.steps[0].step_id / "controller"
    assert r"bash -c echo \ud800" in controller.read_text(encoding="utf-8")


def test_logs_that_cannot_be_brought_to_s3_are_no_failure_of_the_step(place: Callable[..., Place]) -> None:
    here = place()
    cluster = here.launch("bash", "-c", "true", LogUri="s3://logs/")
    ended = here.wait(cluster, lambda each: each.steps[0].ended_at is not None)
    assert ended.steps[0].state is StepState.COMPLETED


def test_bootstrap_actions_that_cannot_be_run_end_their_cluster(
    place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: BootstrapRun) -> Any:
        raise OSError("No space left on device")

    monkeypatch.setattr(BootstrapRun, "run", full)
    here = place()
    actions = [{"Name": "b", "ScriptBootstrapAction": {"Path": "s3://b/a.sh"}}]
    ended = here.wait(here.launch("bash", "-c", "true", BootstrapActions=actions), is_over)
    assert (ended.state, ended.reason.code) == (ClusterState.TERMINATED_WITH_ERRORS, "BOOTSTRAP_FAILURE")


def test_processes_that_cannot_be_ended_do_not_hold_their_cluster(
    place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = place()
    cluster = here.launch("bash", "-c", "sleep 600")
    here.wait(cluster, is_running)

    def cannot(*_: Any, **__: Any) -> None:
        raise processes.StillRunningError("could not end processes 1")

    with monkeypatch.context() as patched:
        patched.setattr(processes, "end", cannot)
        here.service.change(lambda plane, now: plane.terminate(plane.cluster(cluster.cluster_id), now))
        ended = here.wait(cluster, is_over)
    assert ended.steps[0].state is StepState.CANCELLED
