"""``reap``: clusters of the deployment that outlived their need are ended."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from sqlalchemy import Engine

from trainyard import connections, databases, ledger, reaping
from trainyard.account import AccountError
from trainyard.operators.run_plan import WAIT_TASK
from trainyard.reaping import Reaped, RunsUnreadableError

_RUNS_THAT_GO_ON = ["queued", "running"]
_TASKS_THAT_ENDED = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})

log = logging.getLogger(__name__)


class AirflowRuns:
    """Airflow's runs, as a task may ask for them."""

    def wait_goes_on(self, *, dag_id: str, run_id: str, model: str) -> bool:
        task_id = f"{model}.{WAIT_TASK}"
        try:
            if not RuntimeTaskInstance.get_dr_count(dag_id, run_ids=[run_id], states=_RUNS_THAT_GO_ON):
                return False
            states = RuntimeTaskInstance.get_task_states(dag_id=dag_id, task_ids=[task_id], run_ids=[run_id])
        except Exception as error:
            raise RunsUnreadableError(f"Airflow does not say how run {run_id} of {dag_id} stands") from error
        return states.get(run_id, {}).get(task_id) not in _TASKS_THAT_ENDED


class Reap(BaseOperator):
    """Ends the deployment's clusters that nobody owns or that are over age, in every account that it launched into.

    Returns what was ended, and why. Fails where one could not be looked for or ended, once all others are.

    :param app_db: id of the Airflow connection to the application database, where the ledger is
    """

    def __init__(self, *, app_db: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.app_db = app_db

    def execute(self, context: Any) -> list[dict[str, str]]:  # noqa: ARG002
        try:
            deployment = connections.account().deployment
        except AccountError as error:
            raise AirflowFailException(str(error)) from error
        app = connections.database(self.app_db)
        databases.upgrade_app_db(app)
        runs = AirflowRuns()
        ended: list[dict[str, str]] = []
        failures: list[str] = []
        for aws_conn_id in ledger.aws_connections(app, deployment):
            reaped = _reap(app, aws_conn_id, deployment, runs)
            for stray in reaped.strays:
                log.info("ended %s (%s): %s", stray.cluster.cluster_id, stray.cluster.name, stray.why)
                ended.append({"cluster": stray.cluster.cluster_id, "why": stray.why})
            failures += [f"{aws_conn_id}: {failure}" for failure in reaped.failures]
        for attempt in reaping.end_forgotten(app=app, deployment=deployment, runs=runs):
            log.info("attempt %d of %s (%s) is given up", attempt.attempt, attempt.model, attempt.run_id)
        log.info("%d clusters ended", len(ended))
        if failures:
            raise AirflowException("\n".join(["not all could be looked at or ended:", *failures]))
        return ended


def _reap(app: Engine, aws_conn_id: str, deployment: str, runs: AirflowRuns) -> Reaped:
    try:
        emr = connections.emr_client(aws_conn_id)
        return reaping.reap(app=app, emr=emr, deployment=deployment, runs=runs, dry_run=False)
    except Exception as error:
        # a connection that was deleted or may no more must not keep those of other accounts from being reaped
        log.exception("the clusters of connection %s could not be looked at", aws_conn_id)
        return Reaped(failures=[str(error)])
