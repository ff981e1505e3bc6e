"""Fleets, instances, policies, concurrency: what is asked for takes effect, and is shown as EMR shows it."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError
from botocore.loaders import Loader
from botocore.model import ListShape, ServiceModel, StructureShape

from local_aws.client import LocalAws
from local_aws.emr.api import CHANGES, LOOKS
from local_aws.emr.support import HONOURED, KEPT, SUPPORTED_OPERATIONS
from local_aws.faults.kinds import FailStep, HangStep, LoseNode, NoCapacity

QUICK = {"Delay": 0.1, "MaxAttempts": 1200}


def fleets(*, timeout_action: str | None = None, spot: int = 4) -> dict[str, Any]:
    """A primary on demand; a core fleet of Spot units of which an instance gives two."""
    core: dict[str, Any] = {
        "InstanceFleetType": "CORE",
        "TargetSpotCapacity": spot,
        "TargetOnDemandCapacity": 1,
        "InstanceTypeConfigs": [
            {"InstanceType": "m5.2xlarge", "WeightedCapacity": 2},
            {"InstanceType": "m5.xlarge"},
        ],
    }
    if timeout_action:
        spot_specification = {"TimeoutDurationMinutes": 5, "TimeoutAction": timeout_action}
        core["LaunchSpecifications"] = {"SpotSpecification": spot_specification}
    primary = {
        "InstanceFleetType": "MASTER",
        "TargetOnDemandCapacity": 1,
        "InstanceTypeConfigs": [{"InstanceType": "m5.xlarge"}],
    }
    return {"InstanceFleets": [primary, core], "KeepJobFlowAliveWhenNoSteps": True}


def test_boto3s_waiters_see_success(emr: Any, step: Any, control: LocalAws, name: str) -> None:
    # kept alive, so that a waiter that comes late still finds it running
    cluster_id = emr.launch(step("bash"), keep_alive=True, Name=name)
    step_id = emr.steps(cluster_id)[0]["Id"]
    emr.emr.get_waiter("cluster_running").wait(ClusterId=cluster_id, WaiterConfig=QUICK)
    emr.emr.get_waiter("step_complete").wait(ClusterId=cluster_id, StepId=step_id, WaiterConfig=QUICK)
    emr.emr.terminate_job_flows(JobFlowIds=[cluster_id])
    emr.emr.get_waiter("cluster_terminated").wait(ClusterId=cluster_id, WaiterConfig=QUICK)
    assert emr.state(cluster_id) == "TERMINATED"


def test_boto3s_waiters_see_failure(emr: Any, step: Any, control: LocalAws, name: str) -> None:
    control.add_faults(FailStep(cluster=name))
    cluster_id = emr.launch(step("bash"), Name=name)
    step_id = emr.steps(cluster_id)[0]["Id"]
    for waiter, ids in (
        ("step_complete", {"ClusterId": cluster_id, "StepId": step_id}),
        ("cluster_terminated", {"ClusterId": cluster_id}),
    ):
        with pytest.raises(WaiterError, match="terminal failure state"):
            emr.emr.get_waiter(waiter).wait(**ids, WaiterConfig=QUICK)
    with pytest.raises(WaiterError, match="terminal failure state"):
        emr.emr.get_waiter("cluster_running").wait(ClusterId=cluster_id, WaiterConfig=QUICK)


def test_steps_run_side_by_side_up_to_the_concurrency_level(
    emr: Any, step: Any, until: Any, control: LocalAws, name: str
) -> None:
    control.add_faults(HangStep(cluster=name))
    steps = [step("bash", on_failure="CONTINUE") for _ in range(4)]
    cluster_id = emr.launch(*steps, Name=name, StepConcurrencyLevel=2, keep_alive=True)
    until(lambda: emr.step_states(cluster_id).count("RUNNING") == 2, "two steps run")
    assert emr.step_states(cluster_id) == ["RUNNING", "RUNNING", "PENDING", "PENDING"]
    answer = emr.emr.modify_cluster(ClusterId=cluster_id, StepConcurrencyLevel=3)
    assert answer["StepConcurrencyLevel"] == 3
    assert emr.cluster(cluster_id)["StepConcurrencyLevel"] == 3
    assert emr.step_states(cluster_id) == ["RUNNING", "RUNNING", "RUNNING", "PENDING"]
    with pytest.raises(ClientError, match="ActionOnFailure CANCEL_AND_WAIT of step 'train' is not valid"):
        emr.emr.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step("bash", on_failure="CANCEL_AND_WAIT")])
    with pytest.raises(ClientError, match="0 is not valid: 1 to 256 is accepted"):
        emr.emr.modify_cluster(ClusterId=cluster_id, StepConcurrencyLevel=0)
    emr.emr.terminate_job_flows(JobFlowIds=[cluster_id])


def test_real_steps_run_side_by_side_too(aws: Any, step: Any, until: Any, tmp_path: Any) -> None:
    wait = f"touch {tmp_path}/$$; while [ ! -e {tmp_path}/gate ]; do sleep 0.05; done"
    steps = [step("bash", "-c", wait, on_failure="CONTINUE") for _ in range(2)]
    cluster_id = aws.launch(*steps, StepConcurrencyLevel=2)
    until(lambda: len(list(tmp_path.iterdir())) == 2, "both steps run at once")
    (tmp_path / "gate").touch()
    assert aws.wait_for_end(cluster_id)["Status"]["State"] == "TERMINATED"
    assert aws.step_states(cluster_id) == ["COMPLETED", "COMPLETED"]


def test_a_step_can_be_cancelled_without_grace(
    start_local_aws: Any, aws_at: Any, step: Any, until: Any, tmp_path: Any
) -> None:
    server = start_local_aws(tmp_path / "root", "--grace-seconds", "600")
    aws = aws_at(server.url)
    script = f"trap 'sleep 600' TERM; touch {tmp_path}/up; while true; do sleep 0.1; done"
    cluster_id = aws.launch(step("bash", "-c", script), keep_alive=True)
    until((tmp_path / "up").exists, "the step runs")
    step_id = aws.steps(cluster_id)[0]["Id"]
    aws.emr.cancel_steps(ClusterId=cluster_id, StepIds=[step_id], StepCancellationOption="TERMINATE_PROCESS")
    until(lambda: aws.step_states(cluster_id) == ["CANCELLED"], "the step is cancelled")
    aws.emr.terminate_job_flows(JobFlowIds=[cluster_id])
    aws.wait_for_end(cluster_id)
    server.stop(signal.SIGKILL)


def test_fleets_are_bought_in_whole_instances_up_to_their_targets(emr: Any, name: str) -> None:
    cluster_id = emr.launch(Name=name, Instances=fleets())
    assert emr.wait_for(cluster_id, "WAITING")["InstanceCollectionType"] == "INSTANCE_FLEET"
    primary, core = emr.emr.list_instance_fleets(ClusterId=cluster_id)["InstanceFleets"]
    assert (primary["InstanceFleetType"], primary["ProvisionedOnDemandCapacity"]) == ("MASTER", 1)
    # one unit on demand takes an instance of two
    assert (core["TargetOnDemandCapacity"], core["ProvisionedOnDemandCapacity"]) == (1, 2)
    assert (core["TargetSpotCapacity"], core["ProvisionedSpotCapacity"]) == (4, 4)
    found = emr.emr.list_instances(ClusterId=cluster_id, InstanceFleetType="CORE")["Instances"]
    assert [(node["InstanceType"], node["Market"]) for node in found] == [
        ("m5.2xlarge", "ON_DEMAND"),
        ("m5.2xlarge", "SPOT"),
        ("m5.2xlarge", "SPOT"),
    ]
    assert {node["InstanceFleetId"] for node in found} == {core["Id"]}
    # one xlarge weighs 8, three 2xlarge 16 each
    assert emr.cluster(cluster_id)["NormalizedInstanceHours"] == 56
    with pytest.raises(ClientError, match="mutually exclusive"):
        emr.emr.list_instance_groups(ClusterId=cluster_id)
    emr.emr.terminate_job_flows(JobFlowIds=[cluster_id])


def test_a_fleet_without_spot_capacity_ends_the_cluster_after_its_timeout(
    emr: Any, control: LocalAws, name: str
) -> None:
    control.add_faults(NoCapacity(cluster=name, market="SPOT"))
    cluster_id = emr.launch(Name=name, Instances=fleets(timeout_action="TERMINATE_CLUSTER"))
    status = emr.wait_for_end(cluster_id)["Status"]
    assert status["State"] == "TERMINATED_WITH_ERRORS"
    assert status["StateChangeReason"]["Code"] == "INSTANCE_FLEET_TIMEOUT"


def test_a_fleet_without_spot_capacity_is_bought_on_demand_after_its_timeout(
    emr: Any, control: LocalAws, name: str
) -> None:
    control.add_faults(NoCapacity(cluster=name, market="SPOT"))
    cluster_id = emr.launch(Name=name, Instances=fleets(timeout_action="SWITCH_TO_ON_DEMAND"))
    emr.wait_for(cluster_id, "WAITING")
    core = emr.emr.list_instance_fleets(ClusterId=cluster_id)["InstanceFleets"][1]
    assert (core["ProvisionedOnDemandCapacity"], core["ProvisionedSpotCapacity"]) == (6, 0)
    emr.emr.terminate_job_flows(JobFlowIds=[cluster_id])


def test_a_lost_node_is_shown_and_another_takes_its_place(
    emr: Any, until: Any, control: LocalAws, name: str
) -> None:
    cluster_id = emr.launch(Name=name, keep_alive=True)
    emr.wait_for(cluster_id, "WAITING")
    before = emr.emr.list_instances(ClusterId=cluster_id, InstanceGroupTypes=["CORE"])["Instances"]
    control.add_faults(LoseNode(cluster=name, times=1))
    after = emr.emr.list_instances(ClusterId=cluster_id, InstanceGroupTypes=["CORE"])["Instances"]
    assert [node["Status"]["State"] for node in after][:2] == ["TERMINATED", "RUNNING"]
    assert len(after) == 3
    assert after[0]["Id"] == before[0]["Id"]
    assert after[0]["Status"]["StateChangeReason"]["Code"] == "INSTANCE_FAILURE"

    def running() -> int:
        groups = emr.emr.list_instance_groups(ClusterId=cluster_id)["InstanceGroups"]
        return int(groups[1]["RunningInstanceCount"])

    until(lambda: running() == 2, "the new node runs")
    emr.emr.terminate_job_flows(JobFlowIds=[cluster_id])
    emr.wait_for_end(cluster_id)
    states = emr.emr.list_instances(ClusterId=cluster_id, InstanceStates=["TERMINATED"])["Instances"]
    assert len(states) == 4


def test_an_idle_cluster_is_ended_by_its_policy(emr: Any, step: Any, name: str) -> None:
    # two minutes are a fifth of a second here, a week is a quarter of an hour
    cluster_id = emr.launch(Name=name, keep_alive=True, AutoTerminationPolicy={"IdleTimeout": 604800})
    emr.wait_for(cluster_id, "WAITING")
    policy = {"IdleTimeout": 120}
    emr.emr.put_auto_termination_policy(ClusterId=cluster_id, AutoTerminationPolicy=policy)
    answer = emr.emr.get_auto_termination_policy(ClusterId=cluster_id)
    assert answer["AutoTerminationPolicy"] == policy
    status = emr.wait_for_end(cluster_id)["Status"]
    assert status["State"] == "TERMINATED"
    assert "idle for 120 seconds" in status["StateChangeReason"]["Message"]


def test_a_busy_or_protected_cluster_or_one_without_policy_is_not_idle(
    emr: Any, step: Any, job_flow: Any, control: LocalAws, name: str
) -> None:
    control.add_faults(HangStep(cluster=f"{name}-busy"))
    policy = {"IdleTimeout": 60}
    busy = emr.launch(step("bash"), Name=f"{name}-busy", keep_alive=True, AutoTerminationPolicy=policy)
    request = job_flow(Name=name, keep_alive=True, AutoTerminationPolicy=policy)
    request["Instances"]["TerminationProtected"] = True
    protected = emr.emr.run_job_flow(**request)["JobFlowId"]
    free = emr.launch(Name=name, keep_alive=True, AutoTerminationPolicy={"IdleTimeout": 604800})
    emr.emr.remove_auto_termination_policy(ClusterId=free)
    assert "AutoTerminationPolicy" not in emr.emr.get_auto_termination_policy(ClusterId=free)
    for cluster_id, state in ((busy, "RUNNING"), (protected, "WAITING"), (free, "WAITING")):
        emr.wait_for(cluster_id, state)
    # four times as long as the policy allows
    time.sleep(0.4)
    assert [emr.state(found) for found in (busy, protected, free)] == ["RUNNING", "WAITING", "WAITING"]
    emr.emr.set_termination_protection(JobFlowIds=[protected], TerminationProtected=False)
    assert emr.wait_for_end(protected)["Status"]["State"] == "TERMINATED"
    emr.emr.terminate_job_flows(JobFlowIds=[busy, free])


def test_a_managed_scaling_policy_is_kept_and_checked(emr: Any, name: str) -> None:
    limits = {"UnitType": "Instances", "MinimumCapacityUnits": 2, "MaximumCapacityUnits": 10}
    cluster_id = emr.launch(Name=name, keep_alive=True, ManagedScalingPolicy={"ComputeLimits": limits})
    assert emr.emr.get_managed_scaling_policy(ClusterId=cluster_id)["ManagedScalingPolicy"] == {
        "ComputeLimits": limits
    }
    wider = {"ComputeLimits": limits | {"MaximumCapacityUnits": 20}}
    emr.emr.put_managed_scaling_policy(ClusterId=cluster_id, ManagedScalingPolicy=wider)
    assert emr.emr.get_managed_scaling_policy(ClusterId=cluster_id)["ManagedScalingPolicy"] == wider
    for change, words in (
        ({"UnitType": "InstanceFleetUnits"}, "Instances or VCPU is accepted"),
        ({"MinimumCapacityUnits": 11}, "MinimumCapacityUnits 11 is not valid"),
        ({"MaximumCoreCapacityUnits": 11}, "MaximumCoreCapacityUnits 11 is not valid"),
    ):
        with pytest.raises(ClientError, match=words):
            emr.emr.put_managed_scaling_policy(
                ClusterId=cluster_id, ManagedScalingPolicy={"ComputeLimits": limits | change}
            )
    emr.emr.remove_managed_scaling_policy(ClusterId=cluster_id)
    assert "ManagedScalingPolicy" not in emr.emr.get_managed_scaling_policy(ClusterId=cluster_id)
    emr.emr.terminate_job_flows(JobFlowIds=[cluster_id])
    emr.wait_for_end(cluster_id)
    with pytest.raises(ClientError, match="may not be modified"):
        emr.emr.modify_cluster(ClusterId=cluster_id, StepConcurrencyLevel=2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"WeightedCapacity": 0}, "WeightedCapacity 0 of m5.xlarge in the core instance fleet is not valid"),
        ({"TargetSpotCapacity": 0, "TargetOnDemandCapacity": 0}, "at least one must be above 0"),
        ({"InstanceTypeConfigs": []}, "0 InstanceTypeConfigs: 1 to 30 are accepted"),
        ({"InstanceFleetType": "MASTER"}, "2 master instance fleets supplied"),
        ({"TimeoutDurationMinutes": 4}, "TimeoutDurationMinutes 4 of the core instance fleet is not valid"),
        ({"BlockDurationMinutes": 60}, "does not support the member BlockDurationMinutes of RunJobFlow."),
        ({"Context": "x"}, r"member Context of RunJobFlow.Instances.InstanceFleets\[1\]"),
    ],
)
def test_a_fleet_that_emr_would_refuse_is_refused(emr: Any, change: dict[str, Any], words: str) -> None:
    instances = fleets(timeout_action="TERMINATE_CLUSTER")
    core = instances["InstanceFleets"][1]
    spot = core["LaunchSpecifications"]["SpotSpecification"]
    kind = core["InstanceTypeConfigs"][1]
    for member, value in change.items():
        place = kind if member == "WeightedCapacity" else spot if "Duration" in member else core
        place[member] = value
    with pytest.raises(ClientError, match=words):
        emr.launch(Instances=instances)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"AutoTerminationPolicy": {"IdleTimeout": 59}}, "IdleTimeout 59 is not valid: 60 to 604800"),
        ({"Tags": [{"Key": str(n)} for n in range(51)]}, "51 tags are too many: at most 50"),
        ({"SupportedProducts": ["mapr"]}, "does not support the member SupportedProducts of RunJobFlow"),
    ],
)
def test_members_out_of_range_are_refused_by_name(emr: Any, members: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError, match=words):
        emr.launch(**members)


def test_no_more_than_ten_clusters_are_terminated_by_one_call(emr: Any) -> None:
    with pytest.raises(ClientError, match="less than or equal to 10"):
        emr.emr.terminate_job_flows(JobFlowIds=["j-1"] * 11)


def test_errors_come_with_details_for_programs(emr: Any, control: LocalAws, name: str) -> None:
    control.add_faults(NoCapacity(cluster=name, gives_up_after_seconds=0.05))
    status = emr.wait_for_end(emr.launch(Name=name))["Status"]
    (details,) = status["ErrorDetails"]
    assert details["ErrorCode"] == "INTERNAL_ERROR_EC2_INSUFFICIENT_CAPACITY_AZ"
    assert {"instance-type": "m5.xlarge"} in details["ErrorData"]


def test_every_operation_and_member_of_the_tables_is_in_awss_model() -> None:
    model = ServiceModel(Loader().load_service_model("emr", "service-2"))
    assert set(CHANGES) | set(LOOKS) == SUPPORTED_OPERATIONS
    assert not set(CHANGES) & set(LOOKS)
    for table in (HONOURED, KEPT):
        for name, members in table.items():
            shape = model.shape_for(name)
            assert isinstance(shape, StructureShape)
            assert members <= set(shape.members), name
    for operation in SUPPORTED_OPERATIONS:
        shape = model.operation_model(operation).input_shape
        assert shape is not None
        assert shape.name in HONOURED, f"{operation} would take anything"


def test_no_structure_is_taken_without_a_look_at_its_members() -> None:
    """A member that a newer botocore adds anywhere below an honoured one is refused until a table names it."""
    model = ServiceModel(Loader().load_service_model("emr", "service-2"))
    asked = [model.operation_model(operation).input_shape for operation in SUPPORTED_OPERATIONS]
    reached: set[str] = set()
    while asked:
        shape = asked.pop()
        while isinstance(shape, ListShape):
            shape = shape.member
        if isinstance(shape, StructureShape) and shape.name not in reached:
            reached.add(shape.name)
            asked += [shape.members[name] for name in HONOURED.get(shape.name, ())]
    # what a cluster's Configurations may hold is for steps/configurations.py to say
    assert reached == set(HONOURED) | {"Configuration"}
    assert set(model.shape_for("Configuration").members) == {"Classification", "Configurations", "Properties"}
