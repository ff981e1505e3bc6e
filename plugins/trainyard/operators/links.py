"""The links to a training's cluster and logs that stand on its tasks in Airflow's UI."""

from __future__ import annotations

import logging
from typing import Any

from airflow.providers.amazon.aws.links.emr import EmrClusterLink, EmrLogsLink
from airflow.sdk import BaseOperator

from trainyard import connections
from trainyard.ledger import Attempt
from trainyard.operators.run_plan import model_of, read_plan
from trainyard.portfolio import Portfolio
from trainyard.training import split_uri

log = logging.getLogger(__name__)


def link_cluster(
    operator: BaseOperator, context: Any, attempt: Attempt, *, portfolio: Portfolio, model_name: str
) -> None:
    """Best effort: a link that cannot be made must not fail a task whose cluster runs."""
    try:
        region_name, aws_partition = connections.console_place(attempt.aws_conn_id)
        place = {
            "context": context,
            "operator": operator,
            "region_name": region_name,
            "aws_partition": aws_partition,
            "job_flow_id": attempt.cluster_id,
        }
        log_uri = model_of(portfolio, model_name, read_plan(context)).cluster.log_uri
        EmrClusterLink.persist(**place)
        EmrLogsLink.persist(**place, log_uri="/".join(split_uri(log_uri)))
    except Exception:
        log.warning("the links to cluster %s could not be made", attempt.cluster_id, exc_info=True)
