"""What a training's tasks leave for the links in Airflow's UI."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowException, TaskDeferred

from trainyard import ledger
from trainyard.connections import AirflowClients
from trainyard.ledger import ClusterId

if TYPE_CHECKING:
    from conftest import Shop


def test_every_attempt_s_cluster_and_logs_are_left_for_the_links_in_the_ui(shop: Shop) -> None:
    first, second = shop.wait(), shop.wait()
    context = shop.context()
    shop.emr.terminate_job_flows(JobFlowIds=[second.cluster_id])
    event = {"training_id": second.training_id, "attempt": 2, "log_waited": True}
    with pytest.raises(AirflowException):
        shop.waiting_task().execute_complete(context, event)
    left = context["ti"].pushed["return_value"]["attempts"]
    assert sorted(left) == ["1", "2"]
    assert left["1"]["cluster"].endswith(f"#/clusterDetails/{first.cluster_id}")
    assert left["2"]["cluster"].endswith(f"#/clusterDetails/{second.cluster_id}")
    assert left["1"]["logs"].endswith(
        f"/s3/buckets/{shop.bucket}?region=us-east-1&prefix=logs/{first.cluster_id}/"
    )


def test_attempts_are_left_for_the_links_while_the_last_one_is_waited_for(shop: Shop) -> None:
    shop.wait()
    shop.tries += 1
    context = shop.context()
    with pytest.raises(TaskDeferred):
        shop.waiting_task().execute(context)
    assert sorted(context["ti"].pushed["return_value"]["attempts"]) == ["1", "2"]


def test_links_that_cannot_be_made_fail_no_task(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(clients: AirflowClients, connection: str) -> None:
        raise ConnectionError(clients, connection)

    monkeypatch.setattr(AirflowClients, "console_place", refuse)
    assert shop.create() == shop.attempts()[0].cluster_id
    left = shop.hand_over()
    assert (left["attempts"], left["wait"]["attempt"]) == ({"1": {}}, 1)


def test_a_connection_that_is_gone_takes_no_link_but_its_own(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_OF_ANOTHER", os.environ["AIRFLOW_CONN_AWS_DEFAULT"])
    another = ledger.allocate(shop.app, training=shop.training, aws_conn_id="aws_of_another")
    cluster_id = ClusterId(shop.run_cluster(another.cluster_name))
    ledger.record_launch(shop.app, training_id=another.training_id, attempt=1, cluster_id=cluster_id)
    ledger.end(shop.app, training_id=another.training_id, attempt=1, outcome="abandoned")
    monkeypatch.delenv("AIRFLOW_CONN_AWS_OF_ANOTHER")
    left = shop.hand_over()["attempts"]
    assert (left["1"], sorted(left["2"])) == ({}, ["cluster", "logs"])


def test_links_that_cannot_be_left_fail_no_task(shop: Shop) -> None:
    def refuse(*, key: str, value: object) -> None:
        raise ConnectionError(key, value)

    context = shop.context()
    context["ti"].xcom_push = refuse
    with pytest.raises(TaskDeferred):
        shop.waiting_task().execute(context)


def test_a_launch_leaves_every_attempt_for_the_links(shop: Shop) -> None:
    """Of a wait that takes no worker nothing else is left."""
    assert sorted(shop.hand_over()["attempts"]) == ["1"]
    shop.emr.terminate_job_flows(JobFlowIds=[shop.attempts()[0].cluster_id])
    left = shop.hand_over()
    assert (sorted(left["attempts"]), left["wait"]["attempt"]) == (["1", "2"], 2)
    last = shop.attempts()[-1].cluster_id
    assert left["attempts"]["2"]["cluster"].endswith(f"#/clusterDetails/{last}")
