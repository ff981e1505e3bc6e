"""What the triggers of one poll of EMR have in common: connection, stream, and whether they are still needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from typing import Any

from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from trainyard import connections, ledger
from trainyard.training import TrainingId
from trainyard.watcher import poll


def still_deferred(trigger: BaseTrigger) -> bool:
    """Whether the trigger's task waits, as Airflow says: a stalled triggerer calls ``on_kill`` for healthy ones."""
    task = trigger.task_instance
    if task is None:
        return False
    states = RuntimeTaskInstance.get_task_states(
        dag_id=task.dag_id, task_ids=[task.task_id], run_ids=[task.run_id]
    )
    return bool(states.get(task.run_id, {}).get(task.task_id) == "deferred")


class EmrPollTrigger(BaseEventTrigger):
    """One that waits for something of an attempt that the shared poll of EMR sees.

    ``ARGUMENTS`` names what a trigger is made of anew.

    :param app_db: id of the Airflow connection to the application database, where the ledger is
    """

    ARGUMENTS: tuple[str, ...] = ("training_id", "attempt", "aws_conn_id", "region_name", "app_db")

    def __init__(
        self,
        *,
        training_id: TrainingId,
        attempt: int,
        aws_conn_id: str,
        region_name: str | None,
        app_db: str,
    ) -> None:
        super().__init__()
        self.training_id = training_id
        self.attempt = attempt
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.app_db = app_db

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"trainyard.watcher.{type(self).__name__}",
            {name: getattr(self, name) for name in self.ARGUMENTS},
        )

    def shared_stream_key(self) -> Hashable:
        return poll.stream_key(self.aws_conn_id, self.region_name)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[poll.Sighting]:
        async for sighting in poll.sightings(kwargs["aws_conn_id"], kwargs["region_name"]):
            yield sighting

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait alone, where there is no triggerer: ``airflow dags test``."""
        stream = type(self).open_shared_stream(self.serialize()[1])
        async for event in self.filter_shared_stream(stream):
            yield event

    def _end(self, outcome: ledger.Outcome, code: str | None, reason: str | None) -> None:
        app = connections.database(self.app_db)
        try:
            ledger.end(
                app,
                training_id=self.training_id,
                attempt=self.attempt,
                outcome=outcome,
                failure_code=code,
                failure_reason=reason,
            )
        finally:
            app.dispose()
