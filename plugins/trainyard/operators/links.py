"""The links to every attempt's cluster and logs that stand on a training's tasks in Airflow's UI.

The tasks leave their URLs in an XCom, and the api-server, which loads the plugin, shows what they left when somebody
looks. Links of the operators would be a request each for a worker, or for the triggerer where there is no worker, and a
part of each task in every copy of the DAG that Airflow reads.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.providers.amazon.aws.links.emr import EmrClusterLink

from trainyard import connections
from trainyard.driver_log import cluster_logs
from trainyard.ledger import Attempt
from trainyard.training import split_uri
from trainyard.watcher import ATTEMPTS, TRAINING

CLUSTER, LOGS = "cluster", "logs"

log = logging.getLogger(__name__)


def leave_links(context: Any, attempts: list[Attempt], *, log_uri: str) -> None:
    """Leave links to the training's attempts, where the task has nothing else to leave.

    Best effort: a link that cannot be made must not fail a task whose cluster runs.

    :param attempts: all of the training's
    """
    try:
        context["ti"].xcom_push(key=TRAINING, value={ATTEMPTS: urls_of(attempts, log_uri=log_uri)})
    except Exception:
        log.warning("the links to the training's clusters could not be left", exc_info=True)


def urls_of(attempts: list[Attempt], *, log_uri: str) -> dict[str, dict[str, str]]:
    """The number of each attempt that has a cluster → ``CLUSTER`` and ``LOGS`` → URL; none where they can't be made."""
    try:
        return {str(each.attempt): _urls(each, log_uri) for each in attempts if each.cluster_id is not None}
    except Exception:
        log.warning("the links to the training's clusters could not be made", exc_info=True)
        return {}


def _urls(attempt: Attempt, log_uri: str) -> dict[str, str]:
    region, partition = connections.console_place(attempt.aws_conn_id)
    domain = EmrClusterLink.get_aws_domain(partition)
    cluster = EmrClusterLink().format_link(
        region_name=region, aws_domain=domain, job_flow_id=attempt.cluster_id
    )
    bucket, prefix = split_uri(cluster_logs(log_uri, str(attempt.cluster_id)))
    return {
        CLUSTER: cluster,
        LOGS: f"https://console.{domain}/s3/buckets/{bucket}?region={region}&prefix={prefix}",
    }
