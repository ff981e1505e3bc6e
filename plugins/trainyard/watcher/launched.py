"""Waiting for the end of a cluster that another task launched, from the first moment without a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk.execution_time.xcom import XCom
from airflow.triggers.base import TriggerEvent

from trainyard.watcher import told
from trainyard.watcher.base import EmrPollTrigger
from trainyard.watcher.poll import Sighting
from trainyard.watcher.training import TrainingTrigger

# where the task that launched hands over the arguments of the TrainingTrigger that waits for it
WAIT = "wait"
# what resumes a task that only a worker can go on with
ON_A_WORKER = {"worker": True}

# ends that go on though the triggers that asked for them are cancelled
_ending: set[asyncio.Task[None]] = set()


class LaunchedTrigger(EmrPollTrigger):
    """The first try of a wait that begins in the triggerer: it learns from what the launching task returned.

    Goes on as a ``TrainingTrigger``. It needs no ledger for that, so that neither a restart nor a database that is away
    makes it lose what it waits for. A further try may have to end a cluster and launch another, which is a worker's, as
    is a wait for what was not launched: both resume the task with ``ON_A_WORKER``.

    :param launched_by: the task of the same run whose return value has it
    """

    ARGUMENTS = ("launched_by", *EmrPollTrigger.ARGUMENTS)

    def __init__(self, *, launched_by: str, aws_conn_id: str, region_name: str | None, app_db: str) -> None:
        super().__init__(aws_conn_id=aws_conn_id, region_name=region_name, app_db=app_db)
        self.launched_by = launched_by
        # kept, since what was returned goes with a run that somebody deletes, and with a new try of that task
        self._known: TrainingTrigger | None = None

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Sighting]
    ) -> AsyncIterator[TriggerEvent]:
        launched = await self._launched() if self._task.try_number == 1 else None
        if launched is None or launched.shared_stream_key() != self.shared_stream_key():
            # where the run overrides the model's account, its cluster is on another poll
            yield TriggerEvent(ON_A_WORKER)
            return
        self._known = launched
        told.begun(launched)
        async for event in launched.filter_shared_stream(shared_stream):
            yield event

    async def on_kill(self) -> None:
        """End the attempt and its cluster, if the task really waits no more; done even where this is cancelled."""
        if self._known is not None:
            await self._known.on_kill()
            return
        end = asyncio.create_task(self._look_and_end())
        _ending.add(end)
        end.add_done_callback(_ending.discard)
        await asyncio.shield(end)

    async def _look_and_end(self) -> None:
        launched = await self._launched()
        if launched is not None:
            await launched.on_kill()

    @property
    def _task(self) -> Any:
        """Airflow's task instance: it always has one, for nothing but a task begins with it."""
        return self.task_instance

    async def _launched(self) -> TrainingTrigger | None:
        """What the launching task hands over; none where that is not understood, or Airflow does not say."""
        try:
            returned = await asyncio.to_thread(
                XCom.get_one,
                key=XCom.XCOM_RETURN_KEY,
                dag_id=self._task.dag_id,
                run_id=self._task.run_id,
                task_id=self.launched_by,
            )
            if returned is None or WAIT not in returned:
                return None
            training = TrainingTrigger(**returned[WAIT])
        except Exception:
            self.log.warning("Airflow does not say what %s launched", self.launched_by, exc_info=True)
            return None
        training.task_instance = self._task
        return training
