"""Steps run commands on this machine: who may speak to the port, and what lies behind it."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest


def ask(url: str, *, method: str = "GET", **headers: str) -> tuple[int, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(
        url, method=method, headers=named, data=b"{}" if method == "POST" else None
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def test_health_says_that_it_is_up(aws: Any) -> None:
    status, body = ask(f"{aws.url}/_local_aws/health")
    assert status == 200
    assert json.loads(body)["status"] == "ok"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.com"},
        {"Origin": "null"},
        {"Host": "example.com"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_a_web_page_gets_nothing(aws: Any, headers: dict[str, str]) -> None:
    target = "ElasticMapReduce.ListClusters"
    assert ask(aws.url, method="POST", X_Amz_Target=target, **headers)[0] == 403
    assert ask(f"{aws.url}/", method="OPTIONS", **headers)[0] == 403
    assert ask(f"{aws.url}/_local_aws/journal/clusters", **headers)[0] == 403


def test_a_person_who_types_the_address_gets_an_answer(aws: Any) -> None:
    assert ask(f"{aws.url}/_local_aws/journal/clusters", Sec_Fetch_Site="none")[0] == 200


@pytest.mark.parametrize("host", ["::1", "::"])
def test_it_listens_on_ipv6_and_reaches_itself_there(
    start_local_aws: Any, aws_at: Any, step: Any, tmp_path: Path, host: str
) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = start_local_aws(tmp_path, "--host", host)
    aws = aws_at(f"http://[::1]:{server.port}")
    aws.s3.create_bucket(Bucket="logs")
    cluster_id = aws.launch(step("bash", "-c", "echo $AWS_ENDPOINT_URL"), LogUri="s3://logs")
    assert aws.wait_for_end(cluster_id)["Status"]["State"] == "TERMINATED"
    logs = f"{cluster_id}/steps/{aws.steps(cluster_id)[0]['Id']}"
    assert aws.text("logs", f"{logs}/stdout.gz") == f"{aws.url}\n"


def test_nobody_can_wipe_s3_from_outside(aws: Any, bucket: str) -> None:
    aws.put(bucket, "kept", "x")
    assert ask(f"{aws.url}/_ministack/reset", method="POST")[0] == 404
    assert aws.keys(bucket) == ["kept"]


@pytest.mark.parametrize(
    "path",
    ["/_ministack/health", "//_ministack/health", "/iceberg/v1/config", "/v2/_catalog", "/v20180820/tags/x"],
)
def test_the_emulators_own_pages_are_not_there(aws: Any, path: str) -> None:
    assert ask(f"{aws.url}{path}")[0] == 404


@pytest.mark.parametrize("name", ["health", "logout", "login", "oauth2"])
def test_a_bucket_may_be_named_like_a_page_of_the_emulator(aws: Any, name: str) -> None:
    status, body = ask(f"{aws.url}/{name}")
    assert (status, "NoSuchBucket" in body) == (404, True)
    aws.s3.create_bucket(Bucket=name)
    aws.put(name, "login", "x")
    assert aws.keys(name) == ["login"]
    assert aws.text(name, "login") == "x"
    aws.s3.delete_object(Bucket=name, Key="login")
    aws.s3.delete_bucket(Bucket=name)


def test_one_port_on_this_machine_is_all_that_listens(start_local_aws: Any, tmp_path: Path) -> None:
    server = start_local_aws(tmp_path)
    process = psutil.Process(server.process.pid)
    everyone = [process, *process.children(recursive=True)]
    listening = [
        found.laddr
        for one in everyone
        for found in one.net_connections("inet")
        if found.status == psutil.CONN_LISTEN or not found.raddr
    ]
    assert [(address.ip, address.port) for address in listening] == [("127.0.0.1", server.port)]


def test_a_large_object_comes_back_whole(aws: Any, bucket: str) -> None:
    data = bytes(range(256)) * (40 * 4096)
    aws.s3.put_object(Bucket=bucket, Key="large", Body=data)
    assert aws.s3.get_object(Bucket=bucket, Key="large")["Body"].read() == data
