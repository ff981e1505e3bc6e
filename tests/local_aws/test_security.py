"""Nobody's real AWS account is within reach: no credentials are read, and no other endpoint is served for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from local_aws.own_endpoint import foreign_endpoints

POISON = "AKIAPOISONPOISONPOIS"


@pytest.fixture
def asked() -> Iterator[list[str]]:
    """Requests to an address that gives credentials away, such as a container's; its address is the first entry."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_error(404)

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        seen.append(f"http://127.0.0.1:{server.server_port}/credentials")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield seen
        server.shutdown()


@pytest.fixture
def poison(tmp_path: Path, asked: list[str]) -> dict[str, str]:
    """Variables that must reach nobody, and a home whose AWS files block whoever opens them."""
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    for name in ("credentials", "config"):
        # to open a pipe that nobody writes into is to wait for ever
        os.mkfifo(home / ".aws" / name)
    (home / ".boto").write_text(f"[Credentials]\naws_access_key_id = {POISON}\n")
    return {
        "HOME": str(home),
        "AWS_PROFILE": "poison",
        "AWS_ACCESS_KEY_ID": POISON,
        "AWS_SECRET_ACCESS_KEY": POISON,
        "AWS_SESSION_TOKEN": POISON,
        "AWS_CONFIG_FILE": str(home / ".aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / ".aws" / "credentials"),
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(home / ".aws" / "config"),
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/poison",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": asked[0],
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": asked[0],
        "BOTO_CONFIG": str(home / ".boto"),
    }


JOB = """
import os, sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.read.text(sys.argv[1]).write.text(sys.argv[2])
print("\\n".join(f"{name}={value}" for name, value in os.environ.items()))
"""


def test_no_credentials_are_read_and_none_reach_a_step(
    poison: dict[str, str],
    asked: list[str],
    start_local_aws: Any,
    aws_at: Any,
    step: Any,
    tmp_path: Path,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in poison.items():
            patch.setenv(name, value)
        server = start_local_aws(tmp_path / "root")
    aws = aws_at(server.url)
    aws.s3.create_bucket(Bucket="own")
    aws.put("own", "job.py", JOB)
    cluster_id = aws.launch(
        step("bash", "-c", "env"),
        step("spark-submit", "s3://own/job.py", "s3://own/job.py", "s3://own/out"),
        LogUri="s3://own/logs",
    )
    cluster = aws.wait_for_end(cluster_id, seconds=240)
    said = [
        aws.text("own", f"logs/{cluster_id}/steps/{one['Id']}/{log}.gz")
        for one in aws.steps(cluster_id)
        for log in ("controller", "stdout", "stderr")
    ]
    assert cluster["Status"]["State"] == "TERMINATED", said
    assert not [text for text in said if "POISON" in text or "poison" in text]
    assert asked[1:] == []


def test_no_sdk_in_a_step_finds_files_of_credentials(aws: Any, bucket: str, step: Any) -> None:
    """Of boto3, the AWS CLI and both versions of the Java SDK, the first of which has a name of its own for it."""
    cluster_id = aws.launch(step("bash", "-c", "env"), LogUri=f"s3://{bucket}/logs")
    aws.wait_for_end(cluster_id)
    seen = aws.text(bucket, f"logs/{cluster_id}/steps/{aws.steps(cluster_id)[0]['Id']}/stdout.gz").split()
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CREDENTIAL_PROFILES_FILE"):
        assert f"{name}={os.devnull}" in seen


def start(tmp_path: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local_aws", "--root", str(tmp_path), *options],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_EMR"])
def test_it_does_not_start_where_calls_go_elsewhere(tmp_path: Path, name: str) -> None:
    elsewhere = "https://elasticmapreduce.us-east-1.amazonaws.com"
    ended = start(tmp_path, "--port", "0", **{name: elsewhere})
    assert ended.returncode == 1
    assert f"{name} is {elsewhere}, which is not this local_aws at http://127.0.0.1:" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("url", "host", "own"),
    [
        ("http://127.0.0.1:4566", "127.0.0.1", True),
        ("http://localhost:4566/", "127.0.0.1", True),
        ("http://bucket.localhost:4566", "127.0.0.1", True),
        ("http://127.0.0.2:4566", "0.0.0.0", True),
        ("http://[::1]:4566", "::", True),
        ("http://[::1]:4566", "::1", True),
        ("http://localhost:4566", "::1", True),
        ("http://[::1]:4566", "0.0.0.0", False),
        ("http://[::1]:4566", "127.0.0.1", False),
        ("http://127.0.0.2:4566", "127.0.0.1", False),
        ("http://localhost:4566", "127.0.0.2", False),
        ("http://127.0.0.1:4567", "127.0.0.1", False),
        ("http://127.0.0.1", "127.0.0.1", False),
        ("https://127.0.0.1:4566", "127.0.0.1", False),
        ("http://127.0.0.1.example.com:4566", "127.0.0.1", False),
        ("http://192.0.2.1:4566", "0.0.0.0", False),
        ("http://192.0.2.1:4566", "127.0.0.1", False),
        ("not a URL", "127.0.0.1", False),
        ("http://127.0.0.1:port", "127.0.0.1", False),
    ],
)
def test_an_endpoint_is_its_own_by_address_and_port(url: str, host: str, own: bool) -> None:
    foreign = list(foreign_endpoints({"AWS_ENDPOINT_URL": url, "PATH": "/"}, host=host, port=4566))
    assert bool(foreign) is not own


def test_an_empty_endpoint_is_none() -> None:
    assert list(foreign_endpoints({"AWS_ENDPOINT_URL": ""}, host="127.0.0.1", port=4566)) == []
