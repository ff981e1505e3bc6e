"""Requests of every shape are answered, and noted in the journal, as AWS answers what it cannot take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local_aws.emr.api import EmrApi
from local_aws.emr.control_plane import ControlPlane, Pace
from local_aws.emr.front import EmrFront
from local_aws.emr.operations import clusters
from local_aws.emr.service import EmrService
from local_aws.emr.store import ClusterStore
from local_aws.journal import Journal

LAUNCH = {
    "Name": "c",
    "ReleaseLabel": "emr-7.13.0",
    "JobFlowRole": "a",
    "ServiceRole": "b",
    "Instances": {"InstanceCount": 1, "MasterInstanceType": "m5.xlarge"},
}
NO_KEY = [{"Value": "x"}]


class Front:
    def __init__(self, root: Path) -> None:
        self.journal = Journal()
        plane = ControlPlane(Pace(slots=1, provision_seconds=60, bootstrap_seconds=60))
        machinery: Any = None
        service = EmrService(plane, ClusterStore(root), machinery)
        self.front = EmrFront(EmrApi(service), service, self.journal)

    def call(self, operation: str, request: Any) -> tuple[int, Any]:
        """Status and body; the journal has the call and its error."""
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        reply = self.front.call(operation, body, region="us-east-1")
        (call,) = self.journal.calls(operation=operation)[-1:]
        assert (call.status, call.error) == (reply.status, reply.body.get("__type"))
        return reply.status, reply.body


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return Front(tmp_path)


def test_a_tag_without_a_key_is_refused(front: Front) -> None:
    status, body = front.call("RunJobFlow", LAUNCH | {"Tags": NO_KEY})
    assert (status, body["__type"]) == (400, "ValidationException")
    assert body["message"] == "Tag {'Value': 'x'} has no Key: Key and Value are accepted."
    cluster_id = front.call("RunJobFlow", LAUNCH)[1]["JobFlowId"]
    status, body = front.call("AddTags", {"ResourceId": cluster_id, "Tags": NO_KEY})
    assert (status, body["__type"]) == (400, "ValidationException")


@pytest.mark.parametrize("time", ["Nov 25 2026", "2026-11-25T02:00:00Z", 1.8e9, "1.8e9"])
def test_a_time_is_read_as_awss_clients_write_it(front: Front, time: Any) -> None:
    front.call("RunJobFlow", LAUNCH)
    before = front.call("ListClusters", {"CreatedBefore": time})
    after = front.call("ListClusters", {"CreatedAfter": time})
    assert (before[0], after[0]) == (200, 200)
    assert len(before[1]["Clusters"]) + len(after[1]["Clusters"]) == 1


@pytest.mark.parametrize(
    ("operation", "request_body"),
    [
        ("ListClusters", {"CreatedAfter": 1e300}),
        ("ListClusters", {"CreatedAfter": "1e300"}),
        ("ListClusters", b"[" * 100_000),
        ("RunJobFlow", b'{"Name":' * 100_000),
    ],
)
def test_what_cannot_be_read_is_refused(front: Front, operation: str, request_body: Any) -> None:
    status, body = front.call(operation, request_body)
    assert status == 400
    assert body["__type"] in ("SerializationException", "ValidationException")


def test_what_nobody_foresaw_is_an_error_of_the_server(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: Any, **__: Any) -> Any:
        raise KeyError("no such member")

    monkeypatch.setattr(clusters.befalling, "as_listed", breaks)
    status, body = front.call("ListClusters", {})
    assert (status, body["__type"]) == (500, "InternalServerError")
    assert body["message"] == "local_aws could not answer: KeyError: 'no such member'"
