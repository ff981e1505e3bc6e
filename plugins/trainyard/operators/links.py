"""The links to every attempt's cluster and logs that stand on a training's tasks in Airflow's UI."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import attrs
from airflow.providers.amazon.aws.links.emr import EmrClusterLink
from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.execution_time.xcom import XCom

from trainyard import connections
from trainyard.driver_log import cluster_logs
from trainyard.ledger import Attempt
from trainyard.training import split_uri

log = logging.getLogger(__name__)

_LINKS_KEY = "attempt_links"


@attrs.define()
class AttemptLink(BaseOperatorLink):
    """The console's page of an attempt's cluster, with its step, or the folder of its logs."""

    number: int
    what: str

    @property
    def name(self) -> str:
        return f"Attempt {self.number}: {self.what}"

    @property
    def xcom_key(self) -> str:
        return f"attempt_{self.number}_{self.what}"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002
        links = XCom.get_value(key=_LINKS_KEY, ti_key=ti_key) or {}
        return str(links.get(self.xcom_key, ""))


@cache
def attempt_links(attempts: int) -> tuple[AttemptLink, ...]:
    """The links of so many attempts; the same ones for all tasks that have as many."""
    numbers = range(1, attempts + 1)
    return tuple(AttemptLink(number, what) for number in numbers for what in ("cluster", "logs"))


def link_attempts(context: Any, attempts: list[Attempt], *, log_uri: str) -> None:
    """Best effort: a link that cannot be made must not fail a task whose cluster runs.

    :param attempts: all of the training's; those without a cluster have no links
    """
    try:
        links = {
            f"attempt_{attempt.attempt}_{what}": url
            for attempt in attempts
            if attempt.cluster_id is not None
            for what, url in _urls(attempt, log_uri).items()
        }
        context["ti"].xcom_push(key=_LINKS_KEY, value=links)
    except Exception:
        log.warning("the links to the training's clusters could not be made", exc_info=True)


def _urls(attempt: Attempt, log_uri: str) -> dict[str, str]:
    region, partition = connections.console_place(attempt.aws_conn_id)
    domain = EmrClusterLink.get_aws_domain(partition)
    cluster = EmrClusterLink().format_link(
        region_name=region, aws_domain=domain, job_flow_id=attempt.cluster_id
    )
    bucket, prefix = split_uri(cluster_logs(log_uri, str(attempt.cluster_id)))
    return {
        "cluster": cluster,
        "logs": f"https://console.{domain}/s3/buckets/{bucket}?region={region}&prefix={prefix}",
    }
