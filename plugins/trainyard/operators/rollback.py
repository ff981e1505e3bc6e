"""``rollback``: a person's word about what serves, given through Airflow where there is no shell."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from trainyard import connections
from trainyard.publishing.rollback import Change, RollbackError, find_model, roll_back, set_pin

log = logging.getLogger(__name__)

ACTIONS = ("rollback", "pin", "unpin")
PARAMETERS = ("action", "model", "version", "reason")


class Rollback(BaseOperator):
    """Does what the run's parameters ask for; a retry of a run that did it already tells what was done.

    :param app_db: Airflow connection to the application database
    """

    def __init__(self, *, app_db: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.app_db = app_db

    def execute(self, context: Any) -> dict[str, Any]:
        dag_run, params = context["dag_run"], context["params"]
        # Airflow adds whatever a run is given to the parameters
        unknown = sorted({*params} - {*PARAMETERS})
        if unknown:
            raise AirflowFailException(
                f"unknown parameters {', '.join(unknown)}; accepted: {', '.join(PARAMETERS)}"
            )
        user = dag_run.triggering_user_name or "an unnamed user"
        try:
            change = self._change(params, actor=f"{user}, run {dag_run.run_id} of DAG {dag_run.dag_id}")
        except RollbackError as error:
            raise AirflowFailException(str(error)) from error
        log.info("%s", change.sentence)
        return {
            "model": str(change.name),
            "version_id": change.version_id,
            "replaced_version_id": change.replaced_version_id,
            "pinned": change.pinned,
        }

    def _change(self, params: Mapping[str, Any], *, actor: str) -> Change:
        action, version, reason = params["action"], params["version"], params["reason"]
        if action != "rollback" and version is not None:
            raise RollbackError(f"{action} takes no version: it is about the one that serves")
        app = connections.database(self.app_db)
        try:
            name = find_model(app, params["model"])
            if action == "rollback":
                return roll_back(app, name, actor=actor, reason=reason, to=version, once=True)
            return set_pin(app, name, pinned=action == "pin", actor=actor, reason=reason, once=True)
        finally:
            app.dispose()
