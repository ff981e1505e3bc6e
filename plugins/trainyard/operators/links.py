"""The links to every attempt's cluster and logs that stand on a training's tasks in Airflow's UI."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

import attrs
from airflow.providers.amazon.aws.links.emr import EmrClusterLink
from airflow.sdk import BaseOperatorLink

from trainyard import connections
from trainyard.driver_log import cluster_logs
from trainyard.ledger import Attempt
from trainyard.training import split_uri

log = logging.getLogger(__name__)


class Linked(Protocol):
    """An operator with such links.

    :param attempt_urls: by the link's ``xcom_key``, those that are known on this worker
    """

    operator_extra_links: Any
    attempt_urls: Mapping[str, str]


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

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002
        """Asked for by the worker, once the task has run; what it says is kept for the UI under the key."""
        return str(operator.attempt_urls.get(self.xcom_key, ""))


@cache
def attempt_links(attempts: int) -> tuple[AttemptLink, ...]:
    """The links of so many attempts; the same ones for all tasks that have as many."""
    numbers = range(1, attempts + 1)
    return tuple(AttemptLink(number, what) for number in numbers for what in ("cluster", "logs"))


def link_attempts(operator: Linked, attempts: list[Attempt], *, log_uri: str) -> None:
    """Best effort: a link that cannot be made must not fail a task whose cluster runs.

    The worker keeps every link that its task has, by a request each: those of attempts that are yet to come are taken
    from it here.

    :param attempts: all of the training's; those without a cluster have no links
    """
    try:
        operator.attempt_urls = {
            f"attempt_{attempt.attempt}_{what}": url
            for attempt in attempts
            if attempt.cluster_id is not None
            for what, url in _urls(attempt, log_uri).items()
        }
        operator.operator_extra_links = tuple(
            link for link in attempt_links(len(attempts)) if link.xcom_key in operator.attempt_urls
        )
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
