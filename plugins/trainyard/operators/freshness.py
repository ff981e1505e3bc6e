"""``freshness``: a leaf that does nothing but colour the run."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from trainyard.operators.run_plan import PUBLISH_TASK

log = logging.getLogger(__name__)


class Freshness(BaseOperator):
    """Colours the run: fails where fewer of its models are fresh in it than the portfolio demands.

    :param min_fresh: how many of the chosen models must be fresh; none: all
    """

    def __init__(self, *, min_fresh: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.min_fresh = min_fresh

    def execute(self, context: Any) -> None:
        report = context["ti"].xcom_pull(task_ids=PUBLISH_TASK)
        stale = {item["model"]: item["sentence"] for item in report["outcomes"] if item["status"] == "failed"}
        chosen = len(report["outcomes"])
        demanded = chosen if self.min_fresh is None else min(self.min_fresh, chosen)
        if chosen - len(stale) < demanded:
            reasons = "; ".join(f"{model}: {sentence}" for model, sentence in sorted(stale.items()))
            raise AirflowFailException(
                f"{chosen - len(stale)} of {chosen} models are fresh for {report['data_date']}, "
                f"{demanded} are demanded. {reasons}"
            )
        log.info("%d of %d models are fresh for %s", chosen - len(stale), chosen, report["data_date"])
