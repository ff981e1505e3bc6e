"""What triggers have in common: they let go of their DAG, and those of one poll of EMR have connection and stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from typing import Any

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from trainyard.ledger import ClusterId
from trainyard.training import TrainingId
from trainyard.watcher import killed, poll
from trainyard.watcher.killed import Killed
from trainyard.watcher.states import task_key


class WithoutDag(BaseTrigger):
    """One that keeps nothing of the DAG.

    Airflow hands every trigger of a task that may begin in the triggerer a copy of the whole DAG, and a context with
    it, to fill in templates: we have none, and hundreds of copies for as long as hundreds of models wait are gigabytes.
    """

    def render_template_fields(self, context: Any, jinja_env: Any = None) -> None:  # noqa: ARG002
        context.clear()
        task_instance: Any = self.task_instance
        task_instance.task = None


class EmrPollTrigger(WithoutDag, BaseEventTrigger):
    """One that waits for something that the shared poll of EMR sees.

    ``ARGUMENTS`` names what a trigger is made of anew.

    :param app_db: id of the Airflow connection to the application database, where the ledger is
    """

    ARGUMENTS: tuple[str, ...] = ("aws_conn_id", "region_name", "app_db")

    def __init__(self, *, aws_conn_id: str, region_name: str | None, app_db: str) -> None:
        super().__init__()
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


class AttemptTrigger(EmrPollTrigger):
    """One that waits for something of one attempt; ``AWAITED`` names it."""

    ARGUMENTS = ("training_id", "attempt", *EmrPollTrigger.ARGUMENTS)
    AWAITED: str
    cluster_id: ClusterId | None = None

    def __init__(
        self,
        *,
        training_id: TrainingId,
        attempt: int,
        aws_conn_id: str,
        region_name: str | None,
        app_db: str,
    ) -> None:
        super().__init__(aws_conn_id=aws_conn_id, region_name=region_name, app_db=app_db)
        self.training_id = training_id
        self.attempt = attempt

    async def on_kill(self) -> None:
        """End the attempt and its cluster, if the task really waits no more."""
        task_instance = self.task_instance
        await killed.settle(
            Killed(
                training_id=self.training_id,
                attempt=self.attempt,
                cluster_id=self.cluster_id,
                aws_conn_id=self.aws_conn_id,
                app_db=self.app_db,
                task=None if task_instance is None else task_key(task_instance),
                reason=f"the task was ended while it waited for {self.AWAITED}",
            )
        )
