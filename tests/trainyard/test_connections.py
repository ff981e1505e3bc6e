"""AWS clients of Airflow's connections: where they call, by whom, and what they cost a worker."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest
from airflow.sdk import Connection
from botocore.loaders import JSONFileLoader

from trainyard import connections
from trainyard.connections import AirflowClients
from trainyard.portfolio import Connections

EMR, S3 = "http://127.0.0.1:1001", "http://127.0.0.1:1002"


@pytest.fixture(autouse=True)
def _connection(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"region_name": "eu-west-1", "endpoint_url": S3, "service_config": {"emr": {"endpoint_url": EMR}}}
    aws = {"conn_type": "aws", "login": "key-of-it", "password": "secret-of-it", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws))


def test_clients_call_where_and_as_their_connection_says() -> None:
    clients = AirflowClients(Connections())
    emr, s3 = clients.launching_emr, clients.s3
    assert (emr.meta.endpoint_url, s3.meta.endpoint_url) == (EMR, S3)
    assert {emr.meta.region_name, s3.meta.region_name} == {"eu-west-1"}
    credentials = emr._request_signer._credentials
    assert (credentials.access_key, credentials.secret_key) == ("key-of-it", "secret-of-it")
    assert emr.meta.config.retries["total_max_attempts"] == 1


def test_a_cluster_s_account_and_the_portfolio_s_are_not_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients of one connection share its session, and no others."""
    extra = {"region_name": "eu-west-1"}
    other = {"conn_type": "aws", "login": "key-of-other", "password": "secret-of-other", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_OF_ANOTHER", json.dumps(other))
    clients = AirflowClients(Connections(), "aws_of_another")
    made = (clients.emr, clients.launching_emr, clients.s3)
    keys = [client._request_signer._credentials.access_key for client in made]
    assert keys == ["key-of-other", "key-of-other", "key-of-it"]


def test_a_connection_is_looked_up_once_for_all_clients_and_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time, a worker masks all of its secrets by messages."""
    found: list[str] = []
    get = Connection.get

    def noted(conn_id: str) -> Any:
        found.append(conn_id)
        return get(conn_id)

    monkeypatch.setattr(Connection, "get", noted)
    clients = AirflowClients(Connections())
    assert all([clients.launching_emr, clients.s3, clients.console_place("aws_default")])
    assert found == ["aws_default"]


def test_the_console_of_a_region_s_own_partition_is_linked(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = {"conn_type": "aws", "extra": {"region_name": "cn-north-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_CHINA", json.dumps(aws))
    clients = AirflowClients(Connections())
    assert clients.console_place("aws_default") == ("eu-west-1", "aws")
    assert clients.console_place("aws_china") == ("cn-north-1", "aws-cn")


def test_a_worker_reads_no_description_of_aws_that_it_has_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parsing of megabytes of JSON for each client was a third of a short task's time."""
    connections.preload()
    read: list[str] = []
    load = JSONFileLoader.load_file

    def noted(loader: JSONFileLoader, path: str) -> Any:
        found = load(loader, path)
        if found is not None:
            read.append(path)
        return found

    monkeypatch.setattr(JSONFileLoader, "load_file", noted)
    clients = AirflowClients(Connections())
    clients.emr.get_paginator("list_clusters")
    clients.s3.get_paginator("list_objects_v2")
    clients.console_place("aws_default")
    assert read == []


def test_what_is_loaded_is_left_out_of_collections_and_what_comes_later_is_not() -> None:
    connections.preload()
    loaded, later = gc.get_freeze_count(), [[] for _ in range(1000)]
    # Airflow loads its plugins again in each process that looks at them
    connections.preload()
    # what was frozen may still be freed when its last reference goes, so that there may be fewer
    assert len(later) < gc.get_freeze_count() <= loaded
