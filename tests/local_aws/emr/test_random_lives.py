"""Random calls, faults, ends of processes, restarts: no state arises that EMR's documentation forbids."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest.mock import patch

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from local_aws.emr import control_plane
from local_aws.emr.api import EmrApi
from local_aws.emr.control_plane import (
    Action,
    BootstrapEnd,
    ControlPlane,
    Pace,
    StartBootstrap,
    StartStep,
    StopCluster,
)
from local_aws.emr.front import EmrFront
from local_aws.emr.service import EmrService
from local_aws.emr.step_life import StepEnd
from local_aws.emr.store import ClusterStore
from local_aws.emr.values import Cluster, ClusterId, Failure, StepId
from local_aws.faults.book import FaultBook
from local_aws.faults.kinds import (
    AnswerLate,
    DropReply,
    FailBootstrap,
    FailStep,
    HangStep,
    ListLag,
    LoseNode,
    NoCapacity,
    Refuse,
    Simulate,
    Throttle,
)
from local_aws.journal import Journal
from tests.local_aws.emr.forbidden import check_change, check_cluster

SLOTS = 2
MODEL = ServiceModel(Loader().load_service_model("emr", "service-2"))
NAMES = st.sampled_from(["a", "b"])
PATTERNS = st.sampled_from(["*", "a"])
ACTIONS = st.sampled_from(["CONTINUE", "CANCEL_AND_WAIT", "TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW"])
STEPS = st.lists(st.tuples(st.sampled_from(["x", "y"]), ACTIONS), max_size=3)
SECONDS = st.sampled_from([0.0, 0.5, 3.0, 3.0, 20.0, 60.0, 400.0])
# never for ever: a fault that hits all that comes leaves nothing else to happen
WITHIN = {"times": st.integers(1, 2), "for_seconds": st.none() | st.floats(0.5, 100)}

CHANGES = st.sampled_from(
    [
        ("CancelSteps", {}),
        ("CancelSteps", {"StepCancellationOption": "TERMINATE_PROCESS"}),
        ("TerminateJobFlows", {}),
        ("SetTerminationProtection", {"TerminationProtected": True}),
        ("SetTerminationProtection", {"TerminationProtected": False}),
        ("ModifyCluster", {"StepConcurrencyLevel": 0}),
        ("ModifyCluster", {"StepConcurrencyLevel": 1}),
        ("ModifyCluster", {"StepConcurrencyLevel": 3}),
        ("PutAutoTerminationPolicy", {"AutoTerminationPolicy": {"IdleTimeout": 60}}),
        ("RemoveAutoTerminationPolicy", {}),
    ]
)
MORE = st.fixed_dictionaries(
    {},
    optional={
        "Tags": st.just([{"Key": "local_aws:simulate_seconds", "Value": "4"}]),
        "BootstrapActions": st.just([{"Name": "b", "ScriptBootstrapAction": {"Path": "s3://b/a.sh"}}]),
        "AutoTerminationPolicy": st.just({"IdleTimeout": 60}),
    },
)
FAULTS = st.one_of(
    st.builds(Throttle, cluster=PATTERNS, **WITHIN),
    st.builds(Throttle, burst=st.just(3), refill_per_second=st.just(1.0), for_seconds=st.just(30.0)),
    st.builds(Refuse, cluster=PATTERNS, times=st.integers(1, 2)),
    st.builds(AnswerLate, delay_seconds=st.just(1.0), times=st.just(1)),
    st.builds(DropReply, times=st.just(1)),
    st.builds(ListLag, lag_seconds=st.floats(0.5, 60), cluster=PATTERNS),
    st.builds(
        NoCapacity,
        cluster=PATTERNS,
        market=st.sampled_from(["ANY", "SPOT", "ON_DEMAND"]),
        gives_up_after_seconds=st.none() | st.floats(1, 30),
        **WITHIN,
    ),
    st.builds(FailBootstrap, cluster=PATTERNS, **WITHIN),
    st.builds(
        LoseNode,
        cluster=PATTERNS,
        role=st.sampled_from(["MASTER", "CORE"]),
        market=st.sampled_from(["SPOT", "ANY"]),
        nodes=st.sampled_from([1, "all"]),
        after_seconds=st.floats(0, 30),
        **WITHIN,
    ),
    st.builds(HangStep, cluster=PATTERNS, step=st.sampled_from(["*", "x"]), **WITHIN),
    st.builds(FailStep, cluster=PATTERNS, after_seconds=st.floats(0, 10), **WITHIN),
    st.builds(Simulate, cluster=PATTERNS, step_seconds=st.floats(0, 10)),
)


class ByHand:
    """A machine whose processes end when the test says so."""

    def __init__(self) -> None:
        self.running: list[tuple[ClusterId, StepId]] = []
        self.bootstrapping: list[ClusterId] = []
        self.to_stop: list[ClusterId] = []

    def perform(self, action: Action, service: EmrService) -> None:
        if isinstance(action, StartStep):
            self.running.append((action.cluster.cluster_id, action.step.step_id))
        elif isinstance(action, StartBootstrap):
            self.bootstrapping.append(action.cluster.cluster_id)
        elif isinstance(action, StopCluster):
            self.to_stop.append(action.cluster_id)


def instances(*, by_fleet: bool, keep_alive: bool, protected: bool, timeout_action: str) -> dict[str, Any]:
    kinds = [{"InstanceType": "m5.xlarge"}]
    spot = {"TimeoutDurationMinutes": 5, "TimeoutAction": timeout_action}
    fleets = [
        {"InstanceFleetType": "MASTER", "TargetOnDemandCapacity": 1, "InstanceTypeConfigs": kinds},
        {
            "InstanceFleetType": "CORE",
            "TargetSpotCapacity": 2,
            "InstanceTypeConfigs": kinds,
            "LaunchSpecifications": {"SpotSpecification": spot},
        },
    ]
    groups = [
        {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1},
        {"InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": 2, "Market": "SPOT"},
    ]
    return {
        **({"InstanceFleets": fleets} if by_fleet else {"InstanceGroups": groups}),
        "KeepJobFlowAliveWhenNoSteps": keep_alive,
        "TerminationProtected": protected,
    }


INSTANCES = st.builds(
    instances,
    by_fleet=st.booleans(),
    keep_alive=st.booleans(),
    protected=st.booleans(),
    timeout_action=st.sampled_from(["TERMINATE_CLUSTER", "SWITCH_TO_ON_DEMAND"]),
)


def steps(named: list[tuple[str, str]]) -> list[dict[str, Any]]:
    jar = {"Jar": "command-runner.jar", "Args": ["bash"]}
    return [{"Name": name, "ActionOnFailure": action, "HadoopJarStep": jar} for name, action in named]


LAUNCHES = st.builds(
    lambda name, asked, named, level, more: {
        "Name": name,
        "Instances": asked,
        "Steps": steps(named),
        "StepConcurrencyLevel": level,
        **more,
    },
    NAMES,
    INSTANCES,
    STEPS,
    st.sampled_from([1, 1, 2]),
    MORE,
)


class RandomLives(RuleBasedStateMachine):
    @initialize(
        vcpus=st.sampled_from([None, 24]),
        faults=st.lists(FAULTS, max_size=2),
        launches=st.lists(LAUNCHES, min_size=1, max_size=3),
        seed=st.integers(0, 999),
    )
    def begin(self, vcpus: int | None, faults: list[Any], launches: list[dict[str, Any]], seed: int) -> None:
        """Some clusters, and something that will go wrong, from the start: most lives are short.

        :param seed: of ids, by which chance decides between clusters of one moment: the same life has the same ones
        """
        chance = random.Random(seed)
        self.ids = patch.object(
            control_plane, "_new_id", lambda prefix: f"{prefix}{chance.getrandbits(52):013X}"
        )
        self.ids.start()
        self.folder = Path(tempfile.mkdtemp(prefix="random-lives-"))
        self.now = datetime(2026, 11, 23, 2, tzinfo=timezone.utc)
        self.pace = Pace(
            slots=SLOTS,
            provision_seconds=1.5,
            bootstrap_seconds=1,
            terminate_seconds=0.5,
            run_bootstrap_actions=True,
            vcpus=vcpus,
        )
        self.start([])
        self.change_faults(faults)
        for request in launches:
            self.launch(request)
        for _ in range(2):
            self.time_passes(2.0)

    def start(self, clusters: list[Cluster]) -> None:
        self.machine = ByHand()
        self.journal = Journal()
        self.plane = ControlPlane(self.pace, clusters, faults=FaultBook(), watch=self.watch)
        self.store = ClusterStore(self.folder)
        self.service = EmrService(self.plane, self.store, self.machine, clock=lambda: self.now)
        self.front = EmrFront(EmrApi(self.service), self.service, self.journal)

    def watch(self, before: Cluster | None, after: Cluster, now: datetime) -> None:
        check_change(before, after, now)
        self.journal.see(before, after, now)

    def call(self, operation: str, **request: Any) -> Any:
        """The answer, or None where EMR or a fault refused."""
        reply = self.front.call(operation, json.dumps(request).encode(), region="us-east-1")
        if reply.status != 200:
            return None
        shape = MODEL.operation_model(operation).output_shape
        if shape is not None:
            report = ParamValidator().validate(dict(reply.body), shape)
            assert not report.has_errors(), report.generate_report()
        return reply.body

    def pick(self, data: Any) -> Cluster | None:
        newest = self.plane.clusters[:6]
        return newest[data.draw(st.integers(0, len(newest) - 1))] if newest else None

    @rule(request=LAUNCHES)
    def launch(self, request: dict[str, Any]) -> None:
        self.call("RunJobFlow", ReleaseLabel="emr-7.13.0", JobFlowRole="a", ServiceRole="b", **request)

    @rule(data=st.data(), named=STEPS.filter(bool))
    def add_steps(self, data: Any, named: list[tuple[str, str]]) -> None:
        cluster = self.pick(data)
        if cluster:
            self.call("AddJobFlowSteps", JobFlowId=cluster.cluster_id, Steps=steps(named))

    @rule(data=st.data(), change=CHANGES)
    def change(self, data: Any, change: tuple[str, dict[str, Any]]) -> None:
        cluster = self.pick(data)
        if cluster is None:
            return
        operation, members = change
        ids: dict[str, Any] = {"ClusterId": cluster.cluster_id}
        if operation in ("TerminateJobFlows", "SetTerminationProtection"):
            ids = {"JobFlowIds": [cluster.cluster_id]}
        if operation == "CancelSteps":
            if not cluster.steps:
                return
            numbers = data.draw(st.lists(st.integers(0, len(cluster.steps) - 1), min_size=1, max_size=3))
            ids["StepIds"] = [cluster.steps[number].step_id for number in numbers]
        self.call(operation, **ids, **members)

    @rule(data=st.data())
    def look(self, data: Any) -> None:
        cluster = self.pick(data)
        if cluster is None:
            return
        for operation in ("DescribeCluster", "ListSteps", "ListInstances", "GetAutoTerminationPolicy"):
            self.call(operation, ClusterId=cluster.cluster_id)
        self.call("ListInstanceGroups", ClusterId=cluster.cluster_id)
        self.call("ListInstanceFleets", ClusterId=cluster.cluster_id)
        self.call("ListClusters")

    @rule(faults=st.lists(FAULTS, max_size=2))
    def change_faults(self, faults: list[Any]) -> None:
        """Set some; with none, remove all that were set."""

        def change(plane: ControlPlane, now: datetime) -> None:
            if faults:
                plane.faults.add(faults, now)
            else:
                plane.faults.clear()
            plane.faults_changed()

        self.service.change(change)

    @rule(
        seconds=SECONDS,
        ends=st.lists(st.sampled_from([None, True, False]), max_size=3),
        late=st.booleans(),
    )
    def time_passes(self, seconds: float, ends: list[bool | None] | None = None, late: bool = False) -> None:
        """And meanwhile processes end, well or not, or go on; and the machine stops what it was told to.

        :param late: whether it reports a stopped cluster before the ends of its processes
        """
        for process, well in zip(list(self.machine.running), ends or (), strict=False):
            if well is not None:
                self.end_process(process, well)
        for cluster_id, well in zip(list(self.machine.bootstrapping), ends or (), strict=False):
            if well is not None:
                self.end_bootstrap(cluster_id, well)
        for cluster_id in list(self.machine.to_stop)[: len(ends or ())]:
            self.stop_cluster(cluster_id, late=late)
        self.now += timedelta(seconds=seconds)
        self.service.change(lambda _plane, _now: None)

    @rule(rarely=st.integers(0, 9))
    def restart(self, rarely: int) -> None:
        """The process is killed and started again: what was live is lost."""
        if rarely:
            return
        saved = ClusterStore(self.folder).load()
        assert {c.cluster_id: c for c in saved} == {c.cluster_id: c for c in self.plane.clusters}
        self.start(saved)
        self.service.change(lambda plane, now: plane.lose_all("local_aws was stopped", now))

    def end_process(self, process: tuple[ClusterId, StepId], well: bool) -> None:
        self.machine.running.remove(process)
        end = StepEnd() if well else StepEnd(Failure("Unknown Error.", "no"))
        self.service.change(lambda plane, now: plane.step_ended(*process, end, now))

    def end_bootstrap(self, cluster_id: ClusterId, well: bool) -> None:
        self.machine.bootstrapping.remove(cluster_id)
        end = BootstrapEnd(exit_code=None if well else 1)
        self.service.change(lambda plane, now: plane.bootstrap_ended(cluster_id, end, now))

    def stop_cluster(self, cluster_id: ClusterId, *, late: bool = False) -> None:
        self.machine.to_stop.remove(cluster_id)
        if late:
            self.service.change(lambda plane, now: plane.cluster_stopped(cluster_id, now))
        for process in [each for each in self.machine.running if each[0] == cluster_id]:
            self.end_process(process, well=False)
        if cluster_id in self.machine.bootstrapping:
            self.end_bootstrap(cluster_id, well=False)
        self.service.change(lambda plane, now: plane.cluster_stopped(cluster_id, now))

    @invariant()
    def no_state_is_forbidden(self) -> None:
        if not hasattr(self, "plane"):
            return
        live = [cluster for cluster in self.plane.clusters if not cluster.state.is_over]
        for cluster in self.plane.clusters:
            check_cluster(cluster, self.now)
        assert sum(cluster.has_slot for cluster in live) <= SLOTS
        known = {cluster.cluster_id for cluster in live}
        assert {cluster_id for cluster_id, _ in self.machine.running} <= known, (
            "a process outlives its cluster"
        )
        if self.pace.vcpus:
            held = [c for c in live if c.bootstrapping_since]
            assert 12 * len(held) <= self.pace.vcpus

    def teardown(self) -> None:
        """Whatever happened: once nothing goes wrong any more, every cluster comes to its end."""
        try:
            if hasattr(self, "plane"):
                self.end_every_cluster()
        finally:
            if hasattr(self, "ids"):
                self.ids.stop()

    def end_every_cluster(self) -> None:
        self.change_faults([])
        # each may have to wait for all those before it, and for all its steps
        work = sum(20 + 5 * len(cluster.steps) for cluster in self.plane.clusters)
        for _ in range(20 + work):
            if all(cluster.state.is_over for cluster in self.plane.clusters):
                break
            self.time_passes(5.0)
            for cluster_id in list(self.machine.to_stop):
                self.stop_cluster(cluster_id)
            for process in list(self.machine.running):
                self.end_process(process, well=True)
            for cluster_id in list(self.machine.bootstrapping):
                self.end_bootstrap(cluster_id, well=True)
            for cluster in self.plane.clusters:
                self.let_go(cluster)
        self.no_state_is_forbidden()
        for cluster in self.plane.clusters:
            assert cluster.state.is_over, f"stuck: {replace(cluster, request={}, history=())}"
            event(f"{cluster.state.value} by {cluster.reason.code}")
        shutil.rmtree(self.folder)

    def let_go(self, cluster: Cluster) -> None:
        """What a person would do with a cluster that has no more work, or whose step hangs."""
        hanging = [
            step.step_id
            for step in cluster.steps
            if step.plan and step.plan.seconds is None and step.state.is_under_way
        ]
        if hanging:
            self.call("CancelSteps", ClusterId=cluster.cluster_id, StepIds=hanging)
        elif cluster.state.value == "WAITING" and not cluster.wants_slot_since:
            ids = [cluster.cluster_id]
            self.call("SetTerminationProtection", JobFlowIds=ids, TerminationProtected=False)
            self.call("TerminateJobFlows", JobFlowIds=ids)


# how many lives of a new seed each time; without: the same few lives in every run of the suite
UNSEEDED = int(os.environ.get("RANDOM_LIVES", "0"))
RandomLives.TestCase.settings = settings(
    max_examples=UNSEEDED or 50,
    stateful_step_count=40,
    deadline=None,
    derandomize=not UNSEEDED,
    print_blob=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestRandomLives = RandomLives.TestCase
