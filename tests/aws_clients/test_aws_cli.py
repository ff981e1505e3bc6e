"""The original workflow's own way of launching: the AWS CLI, and nothing but it, from upload to result."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training_job.conftest import JOB_FOLDER, RequestMaker, write_rows
from tests.training_job.places import S3

AWS = Path(__file__).parents[2] / ".venv-aws-cli" / "bin" / "aws"

Cli = Callable[..., Any]


@pytest.fixture
def cli(local_aws_url: str, tmp_path: Path) -> Cli:
    """Runs the AWS CLI; gives what it printed, read as JSON where it is JSON."""

    def run(*arguments: str) -> Any:
        ended = subprocess.run(
            [str(AWS), "--endpoint-url", local_aws_url, *arguments],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_DEFAULT_OUTPUT": "json",
                "AWS_EC2_METADATA_DISABLED": "true",
            },
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout) if ended.stdout.lstrip().startswith("{") else ended.stdout

    return run


@pytest.fixture
def code(cli: Cli, bucket: str, tmp_path: Path) -> str:
    """The job in S3 as a person would put it there."""
    shutil.make_archive(str(tmp_path / "training_job"), "zip", JOB_FOLDER, "training_job")
    for file in (tmp_path / "training_job.zip", JOB_FOLDER / "train_evaluate.py"):
        cli("s3", "cp", str(file), f"s3://{bucket}/code/{file.name}")
    return f"s3://{bucket}/code"


def test_create_cluster_with_a_spark_step_trains_a_model(
    cli: Cli, aws: Any, bucket: str, code: str, tmp_path: Path
) -> None:
    rows = write_rows(
        tmp_path / "rows" / "part-0.libsvm",
        *("0 1:1", "1 1:1 3:2", "0 2:0.5 3:1", "1 2:1", "0 1:2 2:1", "1 3:2.5", "0 3:2", "1 1:1"),
    )
    requests = RequestMaker(tmp_path / "attempt-1", S3(aws.s3, bucket))
    request_uri = requests.write(requests.document([rows], [rows], num_features=3))
    arguments = f"--py-files,{code}/training_job.zip,{code}/train_evaluate.py,--request,{request_uri}"
    cluster_id = cli(
        *(
            "emr",
            "create-cluster",
            "--auto-terminate",
            "--name",
            "as in 2015",
            "--applications",
            "Name=Spark",
        ),
        *("--release-label", "emr-7.13.0", "--use-default-roles", "--log-uri", f"s3://{bucket}/logs/"),
        *("--instance-type", "m5.xlarge", "--instance-count", "3"),
        *("--steps", f"Type=Spark,Name=train,ActionOnFailure=TERMINATE_CLUSTER,Args=[{arguments}]"),
    )["ClusterId"]
    cli("emr", "wait", "cluster-terminated", "--cluster-id", cluster_id)
    status = cli("emr", "describe-cluster", "--cluster-id", cluster_id)["Cluster"]["Status"]
    (step,) = cli("emr", "list-steps", "--cluster-id", cluster_id)["Steps"]
    log = aws.text(bucket, f"logs/{cluster_id}/steps/{step['Id']}/stdout.gz")
    assert (status["State"], step["Status"]["State"]) == ("TERMINATED", "COMPLETED"), log
    assert status["StateChangeReason"]["Code"] == "ALL_STEPS_COMPLETED"
    assert step["Config"]["Jar"] == "command-runner.jar"
    assert step["Config"]["Args"][0] == "spark-submit"
    cli("s3", "sync", requests.uri(requests.output), str(tmp_path / "got"))
    manifest = json.loads((tmp_path / "got" / "manifest.json").read_text())
    assert manifest["status"] == "succeeded"


def test_a_failed_step_is_told_with_its_reason_and_its_log(cli: Cli, aws: Any, bucket: str) -> None:
    aws.put(bucket, "bad.py", "raise ValueError('no such day')")
    cluster_id = cli(
        *("emr", "create-cluster", "--auto-terminate", "--name", "fails", "--applications", "Name=Spark"),
        *("--release-label", "emr-7.13.0", "--use-default-roles", "--log-uri", f"s3://{bucket}/logs/"),
        *("--instance-type", "m5.xlarge", "--instance-count", "1"),
        *("--steps", f"Type=Spark,Name=bad,ActionOnFailure=TERMINATE_CLUSTER,Args=[s3://{bucket}/bad.py]"),
    )["ClusterId"]
    aws.wait_for_end(cluster_id, seconds=240)
    (step,) = cli("emr", "list-steps", "--cluster-id", cluster_id)["Steps"]
    details = step["Status"]["FailureDetails"]
    assert details["Message"] == "ValueError: no such day"
    assert details["LogFile"].startswith(f"s3://{bucket}/logs/{cluster_id}/steps/{step['Id']}/")
    assert "no such day" in aws.text(bucket, details["LogFile"].removeprefix(f"s3://{bucket}/"))
