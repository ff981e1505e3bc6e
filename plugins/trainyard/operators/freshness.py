"""``freshness``: a leaf that does nothing but colour the run."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from trainyard.operators.run_plan import PUBLISH_TASK
from trainyard.publishing import UNANSWERED

_HELD_BACK = frozenset({"held_back", "inconclusive"})

log = logging.getLogger(__name__)


class Freshness(BaseOperator):
    """Colours the run: red where fewer models are fresh in it than the portfolio demands, or what serves is too old.

    A model is fresh that was trained and judged, held back or not. One that waits for an answer that nobody gave is
    not: what a person has to see must not be green.

    :param min_fresh: how many of the chosen models must be fresh; none: all
    """

    def __init__(self, *, min_fresh: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.min_fresh = min_fresh

    def execute(self, context: Any) -> None:
        report = context["ti"].xcom_pull(task_ids=PUBLISH_TASK)
        outcomes, stale = report["outcomes"], report["stale"]
        not_fresh = {item["model"]: item["sentence"] for item in outcomes if not _is_fresh(item)}
        fresh = len(outcomes) - len(not_fresh)
        demanded = len(outcomes) if self.min_fresh is None else min(self.min_fresh, len(outcomes))
        lines = [
            f"{fresh} of {len(outcomes)} models are fresh for {report['data_date']}, {demanded} are demanded"
        ]
        lines += [f"{model}: {sentence}" for model, sentence in sorted(not_fresh.items())]
        lines += [_way_out(item) for item in outcomes if item.get("decision_code") == UNANSWERED]
        lines += [f"{model} is too old: {sentence}" for model, sentence in sorted(stale.items())]
        lines += [
            f"{item['model']} was held back: {item['sentence']}"
            for item in outcomes
            if item["status"] in _HELD_BACK and item["model"] not in not_fresh
        ]
        if fresh < demanded or stale:
            raise AirflowFailException(". ".join(lines))
        for line in lines:
            log.info(line)


def _way_out(outcome: dict[str, Any]) -> str:
    """What is left to do where the time to answer is over: the version is recorded, and nobody is asked again."""
    model, version_id = outcome["model"], outcome["version_id"]
    return (
        f"to let {model} serve it even so: `trainyard rollback {model} --to {version_id} --reason …` or the DAG "
        f"rollback, then `trainyard unpin {model}` lets later runs replace it"
    )


def _is_fresh(outcome: dict[str, Any]) -> bool:
    nobody_looked = outcome["status"] == "waiting_for_approval" or outcome.get("decision_code") == UNANSWERED
    return outcome["status"] != "failed" and not nobody_looked
