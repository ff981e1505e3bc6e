"""The links of a training's attempts as the plugin gives them to Airflow's api-server."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any, ClassVar

import attrs
from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.bases.xcom import BaseXCom

from trainyard.operators.create import CreateTrainingCluster
from trainyard.operators.links import ATTEMPTS, CLUSTER, LOGS
from trainyard.operators.run_plan import CREATE_TASK, WAIT_TASK
from trainyard.operators.wait import WaitForTraining
from trainyard.portfolio import MOST_RETRIES


@attrs.define()
class AttemptLink(BaseOperatorLink):
    """The console's page of an attempt's cluster, with its step, or the folder of its logs."""

    number: int
    what: str

    # made once: for each task of each copy of the DAG that Airflow builds it is asked for each link's
    name: str = attrs.field(init=False)

    operators: ClassVar[list[type[BaseOperator]]] = [CreateTrainingCluster, WaitForTraining]

    def __attrs_post_init__(self) -> None:
        self.name = f"Attempt {self.number}: {self.what}"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002
        """The URL; empty where neither of the training's tasks has left such an attempt.

        XComs can be written by others than our tasks: what makes no link must not keep the others from the page.
        """
        group = ti_key.task_id.rpartition(".")[0]
        for left in _left(ti_key.dag_id, ti_key.run_id, group, second=int(time.monotonic())):
            of: Any = left
            for key in (ATTEMPTS, str(self.number), self.what):
                of = of.get(key) if isinstance(of, dict) else None
            if isinstance(of, str):
                return of
        return ""


# attempts that a person ended count as no retry, so that there may be more in the end: the ledger has them all
ATTEMPT_LINKS = [
    AttemptLink(number, what) for number in range(1, MOST_RETRIES + 2) for what in (CLUSTER, LOGS)
]


@lru_cache(maxsize=128)
def _left(dag_id: str, run_id: str, group: str, *, second: int) -> tuple[Any, ...]:  # noqa: ARG001
    """What a training's tasks have returned, the newest first.

    :param second: a look at a task asks for each of its links: within a second they have one answer
    """
    # of the api-server only: a worker, which loads the plugin too, has no use for Airflow's database
    from airflow.models.xcom import XComModel  # noqa: PLC0415
    from airflow.utils.session import create_session  # noqa: PLC0415

    tasks = [f"{group}.{task}" for task in (CREATE_TASK, WAIT_TASK)]
    key = BaseXCom.XCOM_RETURN_KEY
    query = XComModel.get_many(key=key, dag_ids=dag_id, run_id=run_id, task_ids=tasks)
    with create_session() as session:
        return tuple(session.scalars(query.with_only_columns(XComModel.value)))
