"""``approve``: a person's answer before anything of a run goes live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException

from trainyard.connections import AirflowClients
from trainyard.operators.judge import ASKED, TABLE
from trainyard.operators.run_plan import APPROVE_TASK, JUDGE_TASK
from trainyard.portfolio import Approval, Portfolio
from trainyard.portfolio.gate import age
from trainyard.publishing import Answer, published_versions
from trainyard.training import TrainingId

APPROVE, REJECT = "Approve", "Reject"
_HELD_BACK = "hold_back"


def answer_form(model_names: Sequence[str]) -> dict[str, Param]:
    """What a person may fill in besides the answer itself."""
    return {
        _HELD_BACK: Param(
            [],
            type=["null", "array"],
            items={"enum": [*model_names]},
            examples=[*model_names],
            description="Models to hold back although the others are approved.",
        )
    }


class Approve(HITLOperator):
    """Asks whether what ``judge`` found good shall serve, and waits without a worker.

    Whatever the answer, and also where nobody gives one in time, this task succeeds and ``publish`` acts by the answer:
    the stock ``ApprovalOperator`` would skip ``publish`` with it, and leave the run green.

    :param portfolio: the portfolio whose DAG this is
    :param approval: how long to wait, and what counts as the answer then
    :param params: the fields of the form, by ``answer_form``
    """

    def __init__(self, *, portfolio: Portfolio, approval: Approval, **kwargs: Any) -> None:
        self.portfolio = portfolio
        super().__init__(
            subject="Shall the models trained in {{ run_id }} serve?",
            body=f"{{{{ ti.xcom_pull(task_ids='{JUDGE_TASK}', key='{TABLE}') }}}}",
            options=[APPROVE, REJECT],
            defaults=[APPROVE if approval.unanswered == "approve" else REJECT],
            response_timeout=age(approval.within),
            **kwargs,
        )

    def execute(self, context: Any) -> Any:
        """Asks, unless no answer would count any more.

        :raises AirflowFailException: what the question is about was published meanwhile, as where this task alone was
            cleared after a time-out
        """
        asked = _asked(context)
        app = AirflowClients(self.portfolio.connections).app
        published = published_versions(app, training_ids=[TrainingId(training_id) for training_id in asked])
        if published:
            versions = ", ".join(str(version.version_id) for version in published.values())
            raise AirflowFailException(
                f"published already, and no answer would change it: version {versions}. To let one serve, "
                "`trainyard rollback MODEL --to VERSION` or the DAG rollback; to be asked about what still waits, "
                f"clear {JUDGE_TASK} and what follows it"
            )
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """The answer, as ``publish`` reads it: a mapping of :class:`trainyard.publishing.Answer`'s fields."""
        given = super().execute_complete(context, event)
        user = given["responded_by_user"]
        return {
            "approved": given["chosen_options"] == [APPROVE],
            "by": None if user is None else user["name"] or user["id"],
            "at": given["responded_at"].isoformat(),
            "held_back": sorted(given["params_input"].get(_HELD_BACK) or ()),
        }


def read_answer(context: Any) -> Answer | None:
    """The answer that ``approve`` got; none where it was not asked or did not end."""
    value = context["ti"].xcom_pull(task_ids=APPROVE_TASK)
    return None if value is None else Answer.of(value, asked=_asked(context))


def _asked(context: Any) -> dict[str, int]:
    """What ``judge`` would have a person answer for: attempts by training."""
    return dict(context["ti"].xcom_pull(task_ids=JUDGE_TASK, key=ASKED) or {})
