"""The life of clusters as boto3 sees it, with shell steps, where Spark is not the point."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from local_aws.client import LocalAws


def marked_processes(cluster_id: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if cluster_id in process.environ().get("LOCAL_AWS_STEP", ""):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def test_a_cluster_passes_through_emrs_states_in_order(aws: Any, step: Any) -> None:
    cluster_id = aws.launch(step("bash", "-c", "sleep 0.5"))
    seen = [aws.state(cluster_id)]
    while not seen[-1].startswith("TERMINATED"):
        state = aws.state(cluster_id)
        seen += [state] if state != seen[-1] else []
        time.sleep(0.02)
    order = ["STARTING", "BOOTSTRAPPING", "RUNNING", "TERMINATING", "TERMINATED"]
    # who looks from outside may miss some
    assert [state for state in order if state in seen] == seen
    (life,) = LocalAws(aws.url).lives(cluster=cluster_id)
    assert [change["state"] for change in life["changes"]] == order
    timeline = aws.cluster(cluster_id)["Status"]["Timeline"]
    step_timeline = aws.steps(cluster_id)[0]["Status"]["Timeline"]
    moments = [
        timeline["CreationDateTime"],
        timeline["ReadyDateTime"],
        step_timeline["StartDateTime"],
        step_timeline["EndDateTime"],
        timeline["EndDateTime"],
    ]
    assert moments == sorted(moments)


def test_describe_cluster_shows_what_was_asked_for(aws: Any, step: Any, job_flow: Any) -> None:
    request = job_flow(
        step("bash", "-c", "true"),
        Tags=[{"Key": "training", "Value": "t1"}],
        VisibleToAllUsers=False,
        AutoTerminationPolicy={"IdleTimeout": 3600},
        EbsRootVolumeSize=50,
        LogUri="s3://no-such-bucket/logs/",
    )
    request["Instances"] |= {"Ec2SubnetId": "subnet-1", "Ec2KeyName": "key"}
    cluster_id = aws.emr.run_job_flow(**request)["JobFlowId"]
    aws.emr.add_tags(ResourceId=cluster_id, Tags=[{"Key": "owner", "Value": "me"}])
    aws.emr.remove_tags(ResourceId=cluster_id, TagKeys=["training"])
    cluster = aws.wait_for_end(cluster_id)
    assert cluster["Status"]["State"] == "TERMINATED"
    assert cluster["Tags"] == [{"Key": "owner", "Value": "me"}]
    assert cluster["ReleaseLabel"] == "emr-7.13.0"
    assert cluster["EbsRootVolumeSize"] == 50
    assert cluster["VisibleToAllUsers"] is False
    assert cluster["AutoTerminate"] is True
    assert cluster["Ec2InstanceAttributes"] == {
        "Ec2KeyName": "key",
        "Ec2SubnetId": "subnet-1",
        "RequestedEc2SubnetIds": ["subnet-1"],
        "IamInstanceProfile": "EMR_EC2_DefaultRole",
    }
    # one xlarge weighs 8, two 2xlarge 16 each, for a begun hour
    assert cluster["NormalizedInstanceHours"] == 40
    policy = aws.emr.get_auto_termination_policy(ClusterId=cluster_id)["AutoTerminationPolicy"]
    assert policy == {"IdleTimeout": 3600}
    groups = aws.emr.list_instance_groups(ClusterId=cluster_id)["InstanceGroups"]
    assert [(g["InstanceGroupType"], g["InstanceType"], g["Market"]) for g in groups] == [
        ("MASTER", "m5.xlarge", "ON_DEMAND"),
        ("CORE", "m5.2xlarge", "SPOT"),
    ]


def test_a_failed_step_that_says_continue_lets_the_next_one_run(aws: Any, step: Any) -> None:
    failing = step("bash", "-c", "echo no >&2; exit 3", on_failure="CONTINUE")
    cluster_id = aws.launch(failing, step("bash", "-c", "true"))
    cluster = aws.wait_for_end(cluster_id)
    assert aws.step_states(cluster_id) == ["FAILED", "COMPLETED"]
    assert cluster["Status"]["State"] == "TERMINATED"
    assert cluster["Status"]["StateChangeReason"]["Message"] == "Steps completed with errors"
    assert aws.steps(cluster_id)[0]["Status"]["FailureDetails"]["Message"] == "no"


def test_cancel_and_wait_keeps_the_cluster_for_steps_to_come(aws: Any, step: Any) -> None:
    failing = step("bash", "-c", "exit 1", on_failure="CANCEL_AND_WAIT")
    cluster_id = aws.launch(failing, step("bash", "-c", "true"), keep_alive=True)
    aws.wait_for(cluster_id, "WAITING")
    assert aws.step_states(cluster_id) == ["FAILED", "CANCELLED"]
    added = aws.emr.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step("bash", "-c", "true")])["StepIds"]
    aws.emr.get_waiter("step_complete").wait(
        ClusterId=cluster_id, StepId=added[0], WaiterConfig={"Delay": 0.1, "MaxAttempts": 1200}
    )
    assert aws.state(cluster_id) == "WAITING"
    aws.emr.terminate_job_flows(JobFlowIds=[cluster_id])
    cluster = aws.wait_for_end(cluster_id)
    assert cluster["Status"]["State"] == "TERMINATED"
    assert cluster["Status"]["StateChangeReason"]["Code"] == "USER_REQUEST"


def test_no_process_outlives_its_terminated_cluster(aws: Any, step: Any, until: Any, tmp_path: Path) -> None:
    # a child in a session of its own that does not listen to SIGTERM, as hard to end as it gets
    stubborn = (
        "trap '' TERM; setsid bash -c \"trap '' TERM; while true; do sleep 0.2; done\" & wait; sleep 600"
    )
    cluster_id = aws.launch(step("bash", "-c", stubborn), step("bash", "-c", "true"))
    until(lambda: len(marked_processes(cluster_id)) >= 3, "the step and its child run")
    aws.emr.terminate_job_flows(JobFlowIds=[cluster_id])
    assert aws.wait_for_end(cluster_id)["Status"]["State"] == "TERMINATED"
    assert marked_processes(cluster_id) == []
    assert aws.step_states(cluster_id) == ["CANCELLED", "CANCELLED"]


def test_a_running_step_can_be_cancelled_without_its_cluster(aws: Any, step: Any, until: Any) -> None:
    cluster_id = aws.launch(step("bash", "-c", "sleep 600"), step("bash", "-c", "sleep 600"), keep_alive=True)
    until(lambda: aws.step_states(cluster_id)[0] == "RUNNING", "the first step runs")
    ids = [step["Id"] for step in aws.steps(cluster_id)]
    answers = aws.emr.cancel_steps(ClusterId=cluster_id, StepIds=ids)["CancelStepsInfoList"]
    assert [answer["Status"] for answer in answers] == ["SUBMITTED", "SUBMITTED"]
    aws.wait_for(cluster_id, "WAITING")
    assert aws.step_states(cluster_id) == ["CANCELLED", "CANCELLED"]
    assert marked_processes(cluster_id) == []
    aws.emr.terminate_job_flows(JobFlowIds=[cluster_id])


def test_a_protected_cluster_is_terminated_only_after_its_protection_is_lifted(aws: Any) -> None:
    cluster_id = aws.launch(keep_alive=True)
    aws.emr.set_termination_protection(JobFlowIds=[cluster_id], TerminationProtected=True)
    with pytest.raises(aws.emr.exceptions.ClientError, match="termination protected"):
        aws.emr.terminate_job_flows(JobFlowIds=[cluster_id])
    aws.emr.set_termination_protection(JobFlowIds=[cluster_id], TerminationProtected=False)
    aws.emr.terminate_job_flows(JobFlowIds=[cluster_id])
    assert aws.wait_for_end(cluster_id)["Status"]["State"] == "TERMINATED"


def test_clusters_above_the_slots_stay_starting_and_start_in_turn(
    aws: Any, step: Any, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    wait = f"while [ ! -e {gate} ]; do sleep 0.05; done"
    held = [aws.launch(step("bash", "-c", wait)) for _ in range(2)]
    queued = [aws.launch(step("bash", "-c", "true")) for _ in range(2)]
    for cluster_id in held:
        aws.wait_for(cluster_id, "RUNNING")
    time.sleep(0.5)
    assert [aws.state(cluster_id) for cluster_id in queued] == ["STARTING", "STARTING"]
    gate.touch()
    ends = [aws.wait_for_end(cluster_id) for cluster_id in [*held, *queued]]
    assert {end["Status"]["State"] for end in ends} == {"TERMINATED"}
    ready = [end["Status"]["Timeline"]["ReadyDateTime"] for end in ends]
    assert ready == sorted(ready)


def test_a_step_sees_no_credentials_and_no_other_aws(aws: Any, step: Any, bucket: str) -> None:
    cluster_id = aws.launch(step("bash", "-c", "env | grep ^AWS_ | sort"), LogUri=f"s3://{bucket}/")
    aws.wait_for_end(cluster_id)
    out = aws.text(bucket, f"{cluster_id}/steps/{aws.steps(cluster_id)[0]['Id']}/stdout.gz")
    assert dict(line.split("=", 1) for line in out.splitlines()) == {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_CREDENTIAL_PROFILES_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
