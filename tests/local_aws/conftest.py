"""AWS as a test sees it: boto3 clients for a running local_aws, requests to send, ways to wait."""

from __future__ import annotations

import gzip
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from local_aws.client import LocalAws


class Aws:
    """Clients for one local_aws, and what tests ask of it again and again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.emr = self._client("emr")
        self.s3 = self._client("s3")

    def _client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=120),
        )

    def launch(self, *steps: dict[str, Any], **members: Any) -> str:
        """The id of a new cluster with these steps."""
        return str(self.emr.run_job_flow(**job_flow(*steps, **members))["JobFlowId"])

    def cluster(self, cluster_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.emr.describe_cluster(ClusterId=cluster_id)["Cluster"]
        return found

    def state(self, cluster_id: str) -> str:
        return str(self.cluster(cluster_id)["Status"]["State"])

    def steps(self, cluster_id: str) -> list[dict[str, Any]]:
        """Oldest first, as they were given."""
        found: list[dict[str, Any]] = self.emr.list_steps(ClusterId=cluster_id)["Steps"]
        return found[::-1]

    def step_states(self, cluster_id: str) -> list[str]:
        return [step["Status"]["State"] for step in self.steps(cluster_id)]

    def wait_for(self, cluster_id: str, *states: str, seconds: float = 120) -> dict[str, Any]:
        """The cluster, once it is in one of the states."""
        until(lambda: self.state(cluster_id) in states, f"{cluster_id} in {states}", seconds=seconds)
        return self.cluster(cluster_id)

    def wait_for_end(self, cluster_id: str, *, seconds: float = 120) -> dict[str, Any]:
        return self.wait_for(cluster_id, "TERMINATED", "TERMINATED_WITH_ERRORS", seconds=seconds)

    def put(self, bucket: str, key: str, text: str) -> None:
        self.s3.put_object(Bucket=bucket, Key=key, Body=text.encode())

    def text(self, bucket: str, key: str) -> str:
        data: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return (gzip.decompress(data) if key.endswith(".gz") else data).decode()

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        found = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", ())
        return [item["Key"] for item in found]


def step(*args: str, name: str = "train", on_failure: str = "TERMINATE_CLUSTER") -> dict[str, Any]:
    return {
        "Name": name,
        "ActionOnFailure": on_failure,
        "HadoopJarStep": {"Jar": "command-runner.jar", "Args": list(args)},
    }


def job_flow(*steps: dict[str, Any], keep_alive: bool = False, **members: Any) -> dict[str, Any]:
    """A RunJobFlow request that EMR itself would take."""
    return {
        "Name": f"test-{uuid.uuid4().hex[:8]}",
        "ReleaseLabel": "emr-7.13.0",
        "Applications": [{"Name": "Spark"}],
        "JobFlowRole": "EMR_EC2_DefaultRole",
        "ServiceRole": "EMR_DefaultRole",
        "Instances": {
            "InstanceGroups": [
                {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1},
                {"InstanceRole": "CORE", "InstanceType": "m5.2xlarge", "InstanceCount": 2, "Market": "SPOT"},
            ],
            "KeepJobFlowAliveWhenNoSteps": keep_alive,
            "TerminationProtected": False,
        },
        "Steps": list(steps),
        **members,
    }


def until(holds: Callable[[], bool], what: str, *, seconds: float = 120) -> None:
    give_up_at = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up_at, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@pytest.fixture(name="step")
def step_request() -> Callable[..., dict[str, Any]]:
    return step


@pytest.fixture(name="job_flow")
def job_flow_request() -> Callable[..., dict[str, Any]]:
    return job_flow


@pytest.fixture(name="until")
def wait_until() -> Callable[..., None]:
    return until


@pytest.fixture(scope="session")
def aws(local_aws_url: str) -> Aws:
    return Aws(local_aws_url)


@pytest.fixture
def aws_at() -> Callable[[str], Aws]:
    """Clients for a local_aws that the test started itself."""
    return Aws


@pytest.fixture
def bucket(aws: Aws) -> Iterator[str]:
    """An empty bucket of the test's own."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    aws.s3.create_bucket(Bucket=name)
    yield name
    for key in aws.keys(name):
        aws.s3.delete_object(Bucket=name, Key=key)
    aws.s3.delete_bucket(Bucket=name)


@pytest.fixture(scope="session")
def simulated_url(start_local_aws: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A server that simulates every step, and on which ten minutes of EMR's timeouts take a second."""
    return str(
        start_local_aws(tmp_path_factory.mktemp("simulated"), "--simulate", "0.1", "--speed", "600").url
    )


@pytest.fixture
def control(simulated_url: str) -> Iterator[LocalAws]:
    """Faults and journal of the server that simulates."""
    control = LocalAws(simulated_url)
    yield control
    control.clear_faults()


@pytest.fixture(scope="session")
def emr(simulated_url: str) -> Aws:
    """Clients for the server that simulates."""
    return Aws(simulated_url)


@pytest.fixture
def name() -> str:
    """A cluster's name of the test's own, for faults that hit no other test's cluster."""
    return f"train-{uuid.uuid4().hex[:8]}"
