"""The links to every attempt's cluster and logs that stand on a training's tasks in Airflow's UI.

The tasks leave their URLs in what they return, and the api-server, which loads the plugin, shows what they left when
somebody looks. Links of the operators would be a request each for a worker, or for the triggerer where there is no
worker, and a part of each task in every copy of the DAG that Airflow reads.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.providers.amazon.aws.links.emr import EmrClusterLink
from airflow.sdk.bases.xcom import BaseXCom

from trainyard.connections import AirflowClients
from trainyard.driver_log import cluster_logs
from trainyard.ledger import Attempt
from trainyard.training import split_uri

ATTEMPTS = "attempts"
CLUSTER, LOGS = "cluster", "logs"

log = logging.getLogger(__name__)


def leave_links(context: Any, attempts: list[Attempt], *, clients: AirflowClients, log_uri: str) -> None:
    """Leave links to the training's attempts as what the task returns, before it is deferred or fails.

    Best effort: a link that cannot be made must not fail a task whose cluster runs.

    :param attempts: all of the training's
    """
    links = links_to(attempts, clients=clients, log_uri=log_uri)
    try:
        context["ti"].xcom_push(key=BaseXCom.XCOM_RETURN_KEY, value=links)
    except Exception:
        log.warning("the links to the training's clusters could not be left", exc_info=True)


def links_to(
    attempts: list[Attempt], *, clients: AirflowClients, log_uri: str
) -> dict[str, dict[str, dict[str, str]]]:
    """``ATTEMPTS`` → number of each with a cluster → ``CLUSTER`` and ``LOGS`` → URL, none where none can be made."""
    launched = [attempt for attempt in attempts if attempt.cluster_id is not None]
    return {ATTEMPTS: {str(each.attempt): _urls_or_none(each, clients, log_uri) for each in launched}}


def _urls_or_none(attempt: Attempt, clients: AirflowClients, log_uri: str) -> dict[str, str]:
    """The connection of an earlier attempt may be gone."""
    try:
        return _urls(attempt, clients, log_uri)
    except Exception:
        log.warning("no links could be made to the cluster of attempt %d", attempt.attempt, exc_info=True)
        return {}


def _urls(attempt: Attempt, clients: AirflowClients, log_uri: str) -> dict[str, str]:
    region, partition = clients.console_place(attempt.aws_conn_id)
    domain = EmrClusterLink.get_aws_domain(partition)
    cluster = EmrClusterLink().format_link(
        region_name=region, aws_domain=domain, job_flow_id=attempt.cluster_id
    )
    bucket, prefix = split_uri(cluster_logs(log_uri, str(attempt.cluster_id)))
    return {
        CLUSTER: cluster,
        LOGS: f"https://console.{domain}/s3/buckets/{bucket}?region={region}&prefix={prefix}",
    }
