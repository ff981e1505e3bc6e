"""Each fault does to clusters and calls what it says, to whom it names, as often as it says."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from local_aws.client import ControlError, LocalAws
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
from local_aws.faults.reading import FaultTextError, read_fault_file, read_faults


def test_simulated_steps_end_well_and_in_order_without_a_process(
    emr: Any, step: Any, control: LocalAws, name: str
) -> None:
    cluster_id = emr.launch(step("spark-submit", "s3://none/x.py"), step("bash", "-c", "exit 1"), Name=name)
    end = emr.wait_for_end(cluster_id)
    assert end["Status"]["State"] == "TERMINATED"
    assert emr.step_states(cluster_id) == ["COMPLETED", "COMPLETED"]
    first, second = (found["Status"]["Timeline"] for found in emr.steps(cluster_id))
    assert first["EndDateTime"] <= second["StartDateTime"]
    assert (first["EndDateTime"] - first["StartDateTime"]).total_seconds() >= 0.099
    (life,) = control.lives(cluster=name)
    assert [change["state"] for change in life["changes"]] == [
        "STARTING",
        "BOOTSTRAPPING",
        "RUNNING",
        "TERMINATING",
        "TERMINATED",
    ]
    assert [change["state"] for change in life["steps"][0]["changes"]] == ["PENDING", "RUNNING", "COMPLETED"]


def test_one_cluster_is_simulated_by_its_tag_while_others_run(aws: Any, step: Any) -> None:
    tag = {"Key": "local_aws:simulate_seconds", "Value": "0"}
    cluster_id = aws.launch(step("bash", "-c", "exit 1"), Tags=[tag])
    assert aws.wait_for_end(cluster_id)["Status"]["State"] == "TERMINATED"
    with pytest.raises(ClientError, match=r"seconds such as 3 or 0\.5 are accepted"):
        aws.launch(step("bash", "-c", "true"), Tags=[tag | {"Value": "soon"}])


def test_the_simulation_of_some_steps_is_set_while_it_runs(
    aws: Any, step: Any, name: str, bucket: str
) -> None:
    with LocalAws(aws.url).faults(Simulate(cluster=name, step="sim*", step_seconds=0)):
        steps = [step("bash", "-c", "exit 1", name="simulated"), step("bash", "-c", "true", name="real")]
        cluster_id = aws.launch(*steps, Name=name)
        assert aws.wait_for_end(cluster_id)["Status"]["State"] == "TERMINATED"
    assert aws.step_states(cluster_id) == ["COMPLETED", "COMPLETED"]


def test_throttled_calls_are_refused_as_often_as_asked_and_do_nothing(
    emr: Any, control: LocalAws, name: str
) -> None:
    with control.faults(Throttle(calls=("RunJobFlow",), cluster=name, times=2)):
        for _ in range(2):
            with pytest.raises(ClientError) as caught:
                emr.launch(Name=name)
            assert caught.value.response["Error"] == {
                "Code": "ThrottlingException",
                "Message": "Rate exceeded",
            }
        emr.launch(Name=f"other-{name}")
        cluster_id = emr.launch(Name=name)
    calls = control.calls(operation="Run*", cluster=name)
    assert [call["error"] for call in calls] == ["ThrottlingException", "ThrottlingException", None]
    assert calls[-1]["cluster_ids"] == [cluster_id]
    assert [life["cluster_id"] for life in control.lives(cluster=name)] == [cluster_id]


def test_an_empty_bucket_throttles_its_operation_and_no_other(emr: Any, control: LocalAws) -> None:
    cluster_id = emr.launch()
    with control.faults(
        Throttle(calls=("DescribeCluster", "ListClusters"), burst=3, refill_per_second=0.001)
    ):
        for _ in range(3):
            emr.cluster(cluster_id)
        with pytest.raises(ClientError, match="Rate exceeded"):
            emr.cluster(cluster_id)
        emr.emr.list_clusters()


def test_a_refusal_has_the_code_and_status_asked_for(emr: Any, control: LocalAws) -> None:
    refuse = Refuse(calls=("ListClusters",), code="InternalServerError", message="no", status=503, times=1)
    with control.faults(refuse), pytest.raises(ClientError) as caught:
        emr.emr.list_clusters()
    assert caught.value.response["Error"]["Code"] == "InternalServerError"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


def test_a_late_answer_holds_up_no_other_call(emr: Any, control: LocalAws, name: str) -> None:
    cluster_id = emr.launch(Name=name)
    with control.faults(AnswerLate(calls=("DescribeCluster",), cluster=name, delay_seconds=0.4, times=1)):
        started = time.monotonic()
        emr.cluster(cluster_id)
        assert time.monotonic() - started >= 0.4
    assert control.calls(cluster=cluster_id, operation="DescribeCluster")[-1]["seconds"] >= 0.4


def test_a_dropped_reply_leaves_a_cluster_that_nobody_was_told_of(
    emr: Any, control: LocalAws, name: str
) -> None:
    with control.faults(DropReply(calls=("RunJobFlow",), cluster=name)), pytest.raises(ConnectionClosedError):
        emr.launch(Name=name)
    (life,) = control.lives(cluster=name)
    (call,) = control.calls(operation="RunJobFlow", cluster=name)
    assert (call["status"], call["error"]) == (0, None)
    assert emr.wait_for_end(life["cluster_id"])["Name"] == name


def test_a_throttled_call_does_not_use_up_a_dropped_reply(emr: Any, control: LocalAws, name: str) -> None:
    launch = ("RunJobFlow",)
    throttle = Throttle(calls=launch, cluster=name, times=1)
    with control.faults(DropReply(calls=launch, cluster=name, times=1), throttle):
        with pytest.raises(ClientError, match="Rate exceeded"):
            emr.launch(Name=name)
        with pytest.raises(ConnectionClosedError):
            emr.launch(Name=name)
        emr.launch(Name=name)
    assert len(control.lives(cluster=name)) == 2


def test_a_lagging_list_shows_clusters_as_they_were(
    emr: Any, step: Any, control: LocalAws, name: str
) -> None:
    control.clear_journal()
    with control.faults(
        ListLag(cluster=name, lag_seconds=3600), ListLag(cluster="no-such", lag_seconds=3600)
    ):
        cluster_id = emr.launch(step("bash"), Name=name)
        emr.wait_for_end(cluster_id)
        assert cluster_id not in [found["Id"] for found in emr.emr.list_clusters()["Clusters"]]
        lag, met_nobody = control.show_faults()
        assert (lag["hits"], met_nobody["hits"]) == (1, 0)
        assert control.calls(operation="ListClusters")[-1]["faults"] == [lag["id"]]
        assert emr.state(cluster_id) == "TERMINATED"
    with control.faults(ListLag(cluster=name, lag_seconds=0.05)):
        time.sleep(0.06)
        (listed,) = [found for found in emr.emr.list_clusters()["Clusters"] if found["Id"] == cluster_id]
        assert listed["Status"]["State"] == "TERMINATED"


def test_without_capacity_a_cluster_stays_starting_until_there_is_some(
    emr: Any, step: Any, control: LocalAws, name: str
) -> None:
    with control.faults(NoCapacity(cluster=name, times=1)):
        cluster_id = emr.launch(step("bash"), Name=name)
        other = emr.launch(step("bash"), Name=name)
        assert emr.wait_for_end(other)["Status"]["State"] == "TERMINATED"
        assert emr.state(cluster_id) == "STARTING"
        found = emr.emr.list_instances(ClusterId=cluster_id)["Instances"]
        assert {node["Status"]["State"] for node in found} == {"AWAITING_FULFILLMENT"}
    assert emr.wait_for_end(cluster_id)["Status"]["State"] == "TERMINATED"


def test_emr_gives_up_on_capacity_that_does_not_come(
    emr: Any, step: Any, control: LocalAws, name: str
) -> None:
    with control.faults(NoCapacity(cluster=name, market="SPOT", gives_up_after_seconds=0.2)):
        status = emr.wait_for_end(emr.launch(step("bash"), Name=name))["Status"]
    assert status["State"] == "TERMINATED_WITH_ERRORS"
    assert status["StateChangeReason"]["Code"] == "INTERNAL_ERROR"


def test_a_failed_bootstrap_ends_the_cluster_with_its_code(
    emr: Any, step: Any, control: LocalAws, name: str
) -> None:
    with control.faults(FailBootstrap(cluster=name, exit_code=3)):
        cluster_id = emr.launch(step("bash"), Name=name)
        status = emr.wait_for_end(cluster_id)["Status"]
    assert status["State"] == "TERMINATED_WITH_ERRORS"
    assert status["StateChangeReason"]["Code"] == "BOOTSTRAP_FAILURE"
    assert "return code: 3" in status["StateChangeReason"]["Message"]
    assert "ReadyDateTime" not in status["Timeline"]
    assert emr.step_states(cluster_id) == ["CANCELLED"]


@pytest.mark.parametrize(
    ("role", "market", "nodes", "ends"),
    [("CORE", "SPOT", 1, False), ("CORE", "SPOT", "all", True), ("MASTER", "ON_DEMAND", 1, True)],
)
def test_a_lost_node_ends_a_cluster_only_where_it_cannot_go_on(
    emr: Any,
    step: Any,
    until: Any,
    control: LocalAws,
    name: str,
    *,
    role: Any,
    market: Any,
    nodes: Any,
    ends: bool,
) -> None:
    loss = LoseNode(cluster=name, role=role, market=market, nodes=nodes, after_seconds=0.05)
    with control.faults(loss, HangStep(cluster=name)):
        cluster_id = emr.launch(step("bash"), Name=name)
        if ends:
            status = emr.wait_for_end(cluster_id)["Status"]
            assert status["State"] == "TERMINATED_WITH_ERRORS"
            assert status["StateChangeReason"]["Code"] == "INSTANCE_FAILURE"
            assert emr.step_states(cluster_id) == ["CANCELLED"]
        else:
            lost = {"ClusterId": cluster_id, "InstanceStates": ["TERMINATED"]}
            until(lambda: emr.emr.list_instances(**lost)["Instances"], "a node is lost")
            assert emr.state(cluster_id) == "RUNNING"
            assert control.show_faults()[0]["hits"] == 1


def test_a_node_can_be_taken_from_a_cluster_that_runs_already(
    emr: Any, step: Any, control: LocalAws, name: str
) -> None:
    control.add_faults(HangStep(cluster=name))
    cluster_id = emr.launch(step("bash"), Name=name)
    emr.wait_for(cluster_id, "RUNNING")
    control.add_faults(LoseNode(cluster=name, nodes="all"))
    status = emr.wait_for_end(cluster_id)["Status"]
    assert status["StateChangeReason"]["Code"] == "INSTANCE_FAILURE"


def test_a_hanging_step_runs_until_its_cluster_is_terminated(
    emr: Any, step: Any, until: Any, control: LocalAws, name: str
) -> None:
    control.add_faults(HangStep(cluster=name, step="train", times=1))
    cluster_id = emr.launch(step("bash"), step("bash"), Name=name, keep_alive=True)
    until(lambda: emr.step_states(cluster_id)[0] == "RUNNING", "the first step runs")
    time.sleep(0.3)
    assert emr.step_states(cluster_id) == ["RUNNING", "PENDING"]
    emr.emr.cancel_steps(ClusterId=cluster_id, StepIds=[emr.steps(cluster_id)[0]["Id"]])
    until(lambda: emr.step_states(cluster_id) == ["CANCELLED", "COMPLETED"], "the second step ran")
    emr.emr.terminate_job_flows(JobFlowIds=[cluster_id])
    assert emr.wait_for_end(cluster_id)["Status"]["State"] == "TERMINATED"


def test_a_step_fails_with_the_details_asked_for(emr: Any, step: Any, control: LocalAws, name: str) -> None:
    details = {"Reason": "Unknown Error.", "Message": "out of memory", "LogFile": "s3://logs/stderr.gz"}
    failing = FailStep(
        cluster=name, reason="Unknown Error.", message="out of memory", log_file="s3://logs/stderr.gz"
    )
    with control.faults(failing):
        cluster_id = emr.launch(step("bash"), Name=name)
        status = emr.wait_for_end(cluster_id)["Status"]
    assert status["StateChangeReason"] == {"Code": "STEP_FAILURE", "Message": "Shut down as step failed"}
    assert emr.steps(cluster_id)[0]["Status"]["FailureDetails"] == details


def test_the_journal_is_emptied_and_goes_on_counting(emr: Any, control: LocalAws, name: str) -> None:
    emr.wait_for_end(emr.launch(Name=name))
    last = control.calls()[-1]["number"]
    assert len(control.lives(cluster=name)) == 1
    control.clear_journal()
    # of other tests' clusters some may go on living
    assert (control.calls(), control.lives(cluster=name)) == ([], [])
    emr.emr.list_clusters()
    assert [call["number"] for call in control.calls(after=last)] == [last + 1]


def test_faults_are_read_from_a_file_at_the_start(start_local_aws: Any, aws_at: Any, tmp_path: Path) -> None:
    file = tmp_path / "faults.yaml"
    file.write_text(
        "- kind: throttle\n  calls: [ListClusters]\n  times: 1\n- {kind: hang_step, cluster: 'a*'}\n"
    )
    server = start_local_aws(tmp_path / "root", "--faults", str(file))
    with pytest.raises(ClientError, match="Rate exceeded"):
        aws_at(server.url).emr.list_clusters()
    shown = LocalAws(server.url).show_faults()
    assert [(fault["kind"], fault["hits"]) for fault in shown] == [("throttle", 1), ("hang_step", 0)]
    server.stop()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{kind: throtle}", "fault 1"),
        (
            "[{kind: throttle, calls: [RunJobFlows]}]",
            "'RunJobFlows' matches no operation that is served here",
        ),
        (
            "[{kind: hang_step}, {kind: throttle, burst: 3}]",
            "fault 2, throttle: Value error, burst and refill",
        ),
        ("{kind: answer_late}", "fault 1, answer_late.delay_seconds: Field required"),
        ("{kind: drop_reply, clutser: a}", "fault 1, drop_reply.clutser: Extra inputs are not permitted"),
        ("{kind: list_lag, lag_seconds: 3, times: 2}", "give for_seconds, not times"),
        ("just text", "expected a fault or a list of faults"),
        ("[{", "neither YAML nor JSON"),
    ],
)
def test_what_is_no_fault_is_refused_with_its_place(
    control: LocalAws, tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(FaultTextError) as caught:
        read_faults(text)
    assert words in str(caught.value)
    (tmp_path / "faults.yaml").write_text(text)
    with pytest.raises(FaultTextError, match=r"faults\.yaml: "):
        read_fault_file(tmp_path / "faults.yaml")


def test_the_control_path_names_what_it_does_not_know(control: LocalAws) -> None:
    with pytest.raises(ControlError, match="no fault has the id 'f-0'; set are: none"):
        control.remove_fault("f-0")
    with pytest.raises(
        ControlError, match="serves no GET /_local_aws/nothing; it serves GET /_local_aws/health"
    ):
        control._ask("GET", "nothing")
    with pytest.raises(ControlError, match="unknown parameter 'state'; accepted: cluster"):
        control._ask("GET", "journal/clusters", query={"state": "x"})
    with pytest.raises(ControlError, match="expected a fault or a list of faults"):
        control._ask("POST", "faults", body="x")
