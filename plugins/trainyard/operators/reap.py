"""``reap``: clusters of the deployment that outlived their need are ended."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from trainyard import connections, databases, ledger, reaping
from trainyard.account import AccountError
from trainyard.operators.run_plan import WAIT_TASK
from trainyard.reaping import RunsUnreadableError

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
        ended: list[dict[str, str]] = []
        for aws_conn_id in ledger.aws_connections(app, deployment):
            strays = reaping.reap(
                app=app,
                emr=connections.emr_client(aws_conn_id),
                deployment=deployment,
                runs=AirflowRuns(),
                dry_run=False,
            )
            for stray in strays:
                log.info("ended %s (%s): %s", stray.cluster.cluster_id, stray.cluster.name, stray.why)
                ended.append({"cluster": stray.cluster.cluster_id, "why": stray.why})
        for attempt in reaping.end_forgotten(app=app, deployment=deployment, runs=AirflowRuns()):
            log.info("attempt %d of %s (%s) is given up", attempt.attempt, attempt.model, attempt.run_id)
        log.info("%d clusters ended", len(ended))
        return ended
