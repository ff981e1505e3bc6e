"""Requests that EMR refuses are refused here in its words; lists come in its order and pages."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError


def refusal(call: Any, **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error["Code"], error["Message"]


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("describe_cluster", {"ClusterId": "j-NOSUCHCLUSTER"}),
        ("list_steps", {"ClusterId": "j-NOSUCHCLUSTER"}),
        ("describe_step", {"ClusterId": "j-NOSUCHCLUSTER", "StepId": "s-1"}),
        ("list_instance_groups", {"ClusterId": "j-NOSUCHCLUSTER"}),
        ("add_tags", {"ResourceId": "j-NOSUCHCLUSTER", "Tags": [{"Key": "a"}]}),
    ],
)
def test_an_unknown_cluster_is_named_in_emrs_words(aws: Any, operation: str, request_: Any) -> None:
    code, message = refusal(getattr(aws.emr, operation), **request_)
    assert (code, message) == ("InvalidRequestException", "Cluster id 'j-NOSUCHCLUSTER' is not valid.")


def test_the_older_operations_refuse_an_unknown_cluster_in_words_of_their_own(aws: Any, step: Any) -> None:
    assert refusal(aws.emr.terminate_job_flows, JobFlowIds=["j-X"]) == (
        "ValidationException",
        "Specified job flow ID does not exist.",
    )
    assert refusal(aws.emr.add_job_flow_steps, JobFlowId="j-X", Steps=[step("bash", "-c", "true")]) == (
        "ValidationException",
        "Specified job flow ID not valid.",
    )


def test_steps_cannot_be_added_to_a_cluster_that_is_over(aws: Any, step: Any) -> None:
    cluster_id = aws.launch()
    aws.wait_for_end(cluster_id)
    code, message = refusal(
        aws.emr.add_job_flow_steps, JobFlowId=cluster_id, Steps=[step("bash", "-c", "true")]
    )
    assert code == "ValidationException"
    assert message == "A job flow that is shutting down, terminated, or finished may not be modified."


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ServiceRole": ""}, "ServiceRole is required for creating cluster."),
        ({"JobFlowRole": ""}, "InstanceProfile is required for creating cluster."),
        ({"ReleaseLabel": ""}, "release label"),
        ({"LogUri": "/var/log"}, "LogUri '/var/log' is not valid"),
        ({"AmiVersion": "3.11.0"}, "does not support the member AmiVersion of RunJobFlow"),
        ({"StepConcurrencyLevel": 257}, "StepConcurrencyLevel 257 is not valid: 1 to 256 is accepted"),
        ({"Name": "n" * 257}, "Member must have length less than or equal to 256"),
        ({"ScaleDownBehavior": "NEVER"}, "at 'scaleDownBehavior' failed to satisfy constraint"),
        ({"Instances": {"KeepJobFlowAliveWhenNoSteps": True}}, "one and only one of the following"),
        (
            {
                "Instances": {
                    "InstanceGroups": [
                        {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}
                    ],
                    "SlaveInstanceType": "m5.xlarge",
                }
            },
            "one and only one of the following",
        ),
        (
            {"Instances": {"HadoopVersion": "3", "MasterInstanceType": "m5.xlarge"}},
            "does not support the member HadoopVersion of RunJobFlow.Instances",
        ),
        (
            {
                "Instances": {
                    "InstanceGroups": [
                        {"InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": 1}
                    ]
                }
            },
            "No master instance groups supplied",
        ),
        (
            {
                "Instances": {
                    "InstanceGroups": [
                        {
                            "InstanceRole": "MASTER",
                            "InstanceType": "m5.xlarge",
                            "InstanceCount": 1,
                            "Market": "CHEAP",
                        }
                    ]
                }
            },
            "Value 'CHEAP' at 'instances.instanceGroups.1.member.market' failed to satisfy constraint: "
            "Member must satisfy enum value set: [ON_DEMAND, SPOT]",
        ),
    ],
)
def test_a_cluster_that_emr_would_refuse_is_refused(
    aws: Any, job_flow: Any, change: dict[str, Any], words: str
) -> None:
    request = {key: value for key, value in (job_flow() | change).items() if value != ""}
    code, message = refusal(aws.emr.run_job_flow, **request)
    assert code == "ValidationException"
    assert words in message


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["s3-dist-cp", "--src", "a"], "cannot run 's3-dist-cp' in step 'train'"),
        ([], "cannot run 'nothing' in step 'train'"),
        (["spark-submit", "--master"], "option --master has no value"),
        (["spark-submit", "--deploy-mode", "cluster"], "names no application"),
    ],
)
def test_a_step_that_cannot_run_here_is_refused_by_name(
    aws: Any, job_flow: Any, step: Any, args: list[str], words: str
) -> None:
    code, message = refusal(aws.emr.run_job_flow, **job_flow(step(*args)))
    assert code == "ValidationException"
    assert words in message


def test_operations_that_are_not_here_are_refused_by_name(aws: Any) -> None:
    code, message = refusal(aws.emr.list_studios)
    assert code == "UnsupportedOperationException"
    assert "ListStudios" in message


def test_lists_come_newest_first_in_pages_of_fifty(aws: Any, step: Any) -> None:
    before = datetime.now(timezone.utc) - timedelta(seconds=2)
    ids = [aws.launch(keep_alive=True) for _ in range(52)]
    first = aws.emr.list_clusters(CreatedAfter=before)
    assert len(first["Clusters"]) == 50
    assert first["Clusters"][0]["Id"] == ids[-1]
    assert set(first["Clusters"][0]) == {"Id", "Name", "Status", "NormalizedInstanceHours", "ClusterArn"}
    pages = aws.emr.get_paginator("list_clusters").paginate(CreatedAfter=before)
    listed = [cluster["Id"] for page in pages for cluster in page["Clusters"]]
    assert listed[:52] == ids[::-1]
    assert len(set(listed)) == len(listed)
    # a cluster that changes its state between two pages neither hides nor doubles another one
    aws.emr.terminate_job_flows(JobFlowIds=[first["Clusters"][-1]["Id"]])
    second = aws.emr.list_clusters(CreatedAfter=before, Marker=first["Marker"])
    assert [cluster["Id"] for cluster in second["Clusters"]][:2] == [ids[1], ids[0]]
    for position in range(1, len(ids), 10):
        aws.emr.terminate_job_flows(JobFlowIds=ids[position : position + 10])
    aws.wait_for(ids[0], "WAITING")
    aws.emr.add_job_flow_steps(
        JobFlowId=ids[0], Steps=[step("bash", "-c", "true", name=str(n)) for n in range(52)]
    )
    names = [found["Name"] for found in aws.emr.list_steps(ClusterId=ids[0])["Steps"]]
    assert names == [str(n) for n in range(51, 1, -1)]
    aws.emr.terminate_job_flows(JobFlowIds=[ids[0]])
    future = datetime.now(timezone.utc) + timedelta(hours=1)
    assert aws.emr.list_clusters(CreatedAfter=future)["Clusters"] == []
    code, _ = refusal(aws.emr.list_clusters, Marker="bm9uc2Vuc2U=")
    assert code == "InvalidRequestException"


def test_lists_can_be_asked_for_states(aws: Any, step: Any) -> None:
    cluster_id = aws.launch(step("bash", "-c", "exit 1", on_failure="CONTINUE"), step("bash", "-c", "true"))
    aws.wait_for_end(cluster_id)
    live = aws.emr.list_clusters(ClusterStates=["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"])
    assert cluster_id not in [cluster["Id"] for cluster in live["Clusters"]]
    failed = aws.emr.list_steps(ClusterId=cluster_id, StepStates=["FAILED"])["Steps"]
    assert [found["Id"] for found in failed] == [aws.steps(cluster_id)[0]["Id"]]
    by_id = aws.emr.list_steps(ClusterId=cluster_id, StepIds=[failed[0]["Id"]])["Steps"]
    assert [found["Id"] for found in by_id] == [failed[0]["Id"]]
    code, message = refusal(aws.emr.describe_step, ClusterId=cluster_id, StepId="s-NOSUCHSTEP")
    assert (code, message) == ("InvalidRequestException", "Step id 's-NOSUCHSTEP' is not valid.")
