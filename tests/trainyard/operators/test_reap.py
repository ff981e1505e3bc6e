"""The reaper does what it can and is red where that was not all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from airflow.sdk.exceptions import AirflowException
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from botocore.exceptions import ClientError

from trainyard import connections, ledger
from trainyard.operators import Reap
from trainyard.operators.reap import AirflowRuns
from trainyard.reaping import RunsUnreadableError

if TYPE_CHECKING:
    from conftest import Shop


@pytest.fixture
def lost(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A deployment of its own whose launches belong to no run any more."""
    monkeypatch.setattr(RuntimeTaskInstance, "get_dr_count", lambda *_, **__: 0)
    shop.deployment = f"d{uuid4().hex[:8]}"
    monkeypatch.setenv("AIRFLOW_VAR_TRAINYARD_ACCOUNT", json.dumps({"deployment": shop.deployment}))
    return shop


def reap() -> list[dict[str, str]]:
    return Reap(task_id="reap", app_db="app_db").execute({})


def broken(monkeypatch: pytest.MonkeyPatch, operation: str, cluster_id: str) -> None:
    """EMR denies one call for one cluster."""
    client = connections.emr_client("aws_default")

    def deny(params: dict[str, Any], **_: Any) -> None:
        if cluster_id in json.dumps(
            params["body"] if isinstance(params["body"], str) else str(params["body"])
        ):
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not you"}}, operation)

    client.meta.events.register(f"before-call.emr.{operation}", deny)
    monkeypatch.setattr(connections, "emr_client", lambda _conn_id: client)


def test_one_broken_connection_does_not_keep_the_others_clusters_alive_and_is_told(lost: Shop) -> None:
    stray = lost.create()
    other = lost.run(f"manual__{uuid4().hex[:8]}").training
    ledger.allocate(lost.app, training=other, aws_conn_id="a_connection_that_was_deleted")
    with pytest.raises(AirflowException, match=r"a_connection_that_was_deleted: .*isn't defined"):
        reap()
    assert not lost.is_live(stray)


@pytest.mark.parametrize("operation", ["DescribeCluster", "TerminateJobFlows"])
def test_one_cluster_that_cannot_be_looked_at_or_ended_is_told_and_the_rest_ended(
    lost: Shop, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    strays = [lost.run(f"manual__{uuid4().hex[:8]}").create() for _ in range(3)]
    broken(monkeypatch, operation, strays[1])
    with pytest.raises(AirflowException, match=f"aws_default: cluster {strays[1]} .*not you"):
        reap()
    monkeypatch.undo()
    assert [lost.is_live(cluster_id) for cluster_id in strays] == [False, True, False]


def test_what_was_ended_is_returned_where_all_went_well(lost: Shop) -> None:
    stray = lost.create()
    why = f"run {lost.run_id} of shop does not wait for it"
    assert reap() == [{"cluster": stray, "why": why}]


@pytest.mark.parametrize(
    ("runs", "state", "goes_on"),
    [(1, "deferred", True), (1, None, True), (1, "success", False), (0, "deferred", False)],
)
def test_a_wait_goes_on_while_its_run_does_and_its_task_has_not_ended(
    monkeypatch: pytest.MonkeyPatch, runs: int, state: str | None, goes_on: bool
) -> None:
    states = {"run": {"hotels.wait_for_training": state}}
    monkeypatch.setattr(RuntimeTaskInstance, "get_dr_count", lambda *_, **__: runs)
    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", lambda **_: states)
    assert AirflowRuns().wait_goes_on(dag_id="shop", run_id="run", model="hotels") is goes_on


def test_an_airflow_that_does_not_answer_says_nothing_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> int:
        raise ConnectionError("away")

    monkeypatch.setattr(RuntimeTaskInstance, "get_dr_count", away)
    with pytest.raises(RunsUnreadableError):
        AirflowRuns().wait_goes_on(dag_id="shop", run_id="run", model="hotels")
