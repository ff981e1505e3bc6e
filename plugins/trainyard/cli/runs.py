"""Airflow's runs as its metadata database has them, where the command line runs beside it."""

from __future__ import annotations

import logging

from trainyard.reaping import RunsUnreadableError

_GO_ON = ("queued", "running")
_ENDED = ("success", "failed", "upstream_failed", "skipped", "removed")


class MetadataRuns:
    """The Airflow that is set up here; ``readable`` says whether its database could be read."""

    def __init__(self) -> None:
        self.readable = True

    def wait_goes_on(self, *, dag_id: str, run_id: str, model: str) -> bool:
        try:
            # only where it is asked for: Airflow takes seconds to start, and may not be installed
            from airflow.models import DagRun, TaskInstance  # noqa: PLC0415
            from airflow.utils.session import create_session  # noqa: PLC0415

            # Airflow's logging goes to standard output, where what is ended is told
            logging.getLogger("trainyard").setLevel(logging.WARNING)
            with create_session() as session:
                run = session.query(DagRun.state).filter_by(dag_id=dag_id, run_id=run_id).scalar()
                task = (
                    session.query(TaskInstance.state)
                    .filter_by(dag_id=dag_id, run_id=run_id, task_id=f"{model}.wait_for_training")
                    .scalar()
                )
        except Exception as error:
            self.readable = False
            raise RunsUnreadableError(f"Airflow's metadata database cannot be read: {error}") from error
        return run in _GO_ON and task not in _ENDED
