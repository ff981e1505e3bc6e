"""Airflow's connections and variables → AWS clients, database engines, the account's settings. Read by tasks only."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.sdk import BaseHook, Variable
from airflow.sdk.exceptions import AirflowNotFoundException
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.regions import EndpointResolver
from botocore.session import Session as BotocoreSession
from sqlalchemy import Engine

from trainyard import databases
from trainyard.account import ACCOUNT_VARIABLE, Account, AccountError, read_account
from trainyard.instances import Prices, PricesError, read_prices
from trainyard.portfolio import Connections
from trainyard.training import split_uri

# throttling and lost connections delay a call, they do not fail it
_PATIENT = Config(retries={"mode": "adaptive", "max_attempts": 12})
# the poll comes back by itself, and a call that hangs would keep time limits from being looked at
_BRIEF = Config(retries={"total_max_attempts": 2}, connect_timeout=5, read_timeout=20)
_WATCHING_SECONDS = 15
# RunJobFlow has no client token: a call that botocore resends makes a second cluster
_ONCE = Config(retries={"total_max_attempts": 1})
# AWS's own descriptions of its services, read once: each session of boto3 would read megabytes of JSON for itself
_loader = Loader()


def account() -> Account:
    """The account's settings.

    :raises trainyard.account.AccountError: with what is accepted
    """
    return read_account(Variable.get(ACCOUNT_VARIABLE, default=None))


def prices(settings: Account, s3: Callable[[], Any]) -> Prices:
    """vCPUs and prices of instance types: the account's own file over the built-in table.

    :param s3: gives a boto3 S3 client where the file lies in S3
    :raises trainyard.account.AccountError: the file cannot be read or is mistaken
    """
    place = settings.prices
    if place is None:
        return Prices()
    try:
        if place.startswith("s3://"):
            bucket, key = split_uri(place)
            return read_prices(s3().get_object(Bucket=bucket, Key=key)["Body"].read(), place=place)
        return read_prices(Path(place).read_bytes(), place=place)
    except (OSError, ClientError, PricesError) as error:
        raise AccountError(f"the prices file of {ACCOUNT_VARIABLE}: {error}") from error


@dataclass(frozen=True)
class AirflowClients:
    """The clients of a portfolio's connections, each made when it is first asked for.

    A boto3 client takes a worker tenths of a second to make, and most tasks need one of them or none.

    :param cluster_connection: id of the connection that clusters are launched by; none: that of the portfolio
    """

    connections: Connections
    cluster_connection: str | None = None

    @property
    def emr_conn_id(self) -> str:
        return self.cluster_connection or self.connections.aws

    @cached_property
    def app(self) -> Engine:
        return database(self.connections.app_db)

    @cached_property
    def analytics(self) -> Engine:
        return database(self.connections.analytics_db)

    @cached_property
    def emr(self) -> Any:
        return self._client(self.emr_conn_id, "emr", _PATIENT)

    @cached_property
    def launching_emr(self) -> Any:
        """An EMR client that sends each call once."""
        return self._client(self.emr_conn_id, "emr", _ONCE)

    @cached_property
    def s3(self) -> Any:
        return self._client(self.connections.aws, "s3", _PATIENT)

    def console_place(self, aws_conn_id: str) -> tuple[str, str]:
        """Region and partition of a connection, for links into the AWS console."""
        return self._account(aws_conn_id).console_place

    @cached_property
    def _accounts(self) -> dict[str, _AwsAccount]:
        return {}

    def _account(self, aws_conn_id: str) -> _AwsAccount:
        if aws_conn_id not in self._accounts:
            self._accounts[aws_conn_id] = _AwsAccount(aws_conn_id, _PATIENT)
        return self._accounts[aws_conn_id]

    def _client(self, aws_conn_id: str, service: str, config: Config) -> Any:
        return self._account(aws_conn_id).client(service, config)


def emr_client(aws_conn_id: str) -> Any:
    """A boto3 EMR client for everything but RunJobFlow."""
    return _client(aws_conn_id, "emr", _PATIENT)


def watching_emr_client(aws_conn_id: str) -> Any:
    """A boto3 EMR client that gives up early."""
    return _client(aws_conn_id, "emr", _BRIEF)


def s3_client(aws_conn_id: str) -> Any:
    """A boto3 S3 client."""
    return _client(aws_conn_id, "s3", _PATIENT)


def watching_s3_client(aws_conn_id: str) -> Any:
    """A boto3 S3 client that gives up early."""
    return _client(aws_conn_id, "s3", _BRIEF)


def database(conn_id: str) -> Engine:
    """The SQLAlchemy engine of an Airflow connection to PostgreSQL."""
    return databases.engine(BaseHook.get_connection(conn_id).get_uri())


def watching_database(conn_id: str) -> Engine:
    """The same, that gives up early."""
    return databases.engine(BaseHook.get_connection(conn_id).get_uri(), patience_seconds=_WATCHING_SECONDS)


@cache
def preload() -> None:
    """Read what the clients of EMR and S3 are made from, in a process whose forks make them.

    Done once: Airflow loads its plugins anew in each worker, which has it already. What is loaded by the first time
    stays as long as the process, and is left out of garbage collection: a triggerer builds a DAG for each wait, and the
    collections that this sets off would walk through all of it, which more than doubled that time.
    """
    nobody = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    session = Session(region_name="us-east-1", **nobody)
    for service, list_in_pages in (("emr", "list_clusters"), ("s3", "list_objects_v2")):
        _client_of(session, service).get_paginator(list_in_pages)
    gc.freeze()


class _AwsAccount:
    """An Airflow connection to AWS, whose clients share a session: half of what a worker's first client takes.

    Clients are made as the hook makes them; but it reads each service's description for each client, and inspects the
    source of every imported module to tell AWS who calls, which takes a new worker half a second.

    :param config: of the calls by which a role is assumed
    """

    def __init__(self, aws_conn_id: str, config: Config) -> None:
        self._hook = AwsBaseHook(aws_conn_id=aws_conn_id, client_type="emr", config=config)
        if not self._hook.conn_config:
            # the hook would fall back to boto3's own chain of credentials, which may be another account's
            raise AirflowNotFoundException(
                f"The conn_id `{aws_conn_id}` isn't defined; no other credentials are used in its place"
            )

    @cached_property
    def _session(self) -> Session:
        return self._hook.get_session(region_name=self._hook.region_name)

    @property
    def console_place(self) -> tuple[str, str]:
        """Region and partition."""
        region = self._hook.conn_config.region_name
        region = region or BotocoreSession().get_config_variable("region") or "us-east-1"
        return region, EndpointResolver(_loader.load_data("endpoints")).get_partition_for_region(region)

    def client(self, service: str, config: Config) -> Any:
        return _client_of(
            self._session,
            service,
            endpoint_url=self._hook.conn_config.get_service_endpoint_url(service),
            config=config,
            verify=self._hook.verify,
        )


def _client(aws_conn_id: str, service: str, config: Config) -> Any:
    return _AwsAccount(aws_conn_id, config).client(service, config)


def _client_of(session: Session, service: str, **options: Any) -> Any:
    # the provider does the same to its asynchronous sessions
    session._session.register_component("data_loader", _loader)  # noqa: SLF001
    return session.client(service, **options)
