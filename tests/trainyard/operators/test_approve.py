"""``judge`` and ``approve``: who is asked about what, what each answer becomes, and what comes of none."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import AirflowFailException

from tests.trainyard.publishing.conftest import Folder
from trainyard import databases, ledger
from trainyard.ledger import ClusterId
from trainyard.operators import Approve, Judge, answer_form
from trainyard.operators.approve import read_answer
from trainyard.operators.run_plan import policy_of
from trainyard.portfolio import Approval, Portfolio
from trainyard.publishing import ModelOutcome, publish_run
from trainyard.publishing.rollback import ModelName, set_pin
from trainyard.training import Sha256, Training

if TYPE_CHECKING:
    from conftest import Shop

ANSWERED_AT = datetime(2026, 11, 23, 8, tzinfo=timezone.utc)
ADA = {"id": "1", "name": "ada"}


@dataclass
class Asking:
    """The shop, whose portfolio asks before anything goes live."""

    shop: Shop
    portfolio: Portfolio
    context: dict[str, Any]

    def train(self, training: Training | None = None, *, serving: int | None = None) -> Training:
        """An attempt that succeeded and left a model that its gate lets pass."""
        training = training or self.shop.training
        attempt = ledger.allocate(self.shop.app, training=training, aws_conn_id="aws_default")
        on_test = {"rows": 50_000, "positives": 9_000, "log_loss": 0.3, "auc": 0.9, "positive_rate": 0.2}
        folder = Folder(training, attempt.attempt, metrics={"metrics": {"test": on_test}})
        folder = replace(folder, request={"serving": serving and {"version_id": serving}})
        key = {"training_id": training.training_id, "attempt": attempt.attempt}
        sha256 = Sha256(hashlib.sha256(folder.request_bytes()).hexdigest())
        ledger.record_request(self.shop.app, **key, request_sha256=sha256, instances=None)
        cluster = ClusterId(f"j-{training.training_id}-{attempt.attempt}")
        ledger.record_launch(self.shop.app, **key, cluster_id=cluster)
        ledger.end(self.shop.app, **key, outcome="succeeded")
        folder.write(self.shop.s3)
        return training

    def judge(self) -> str:
        """Runs ``judge``; what it leaves is in the context from then on."""
        task_instance = self.context["ti"]
        task_instance.xcoms = {key: kept for key, kept in task_instance.xcoms.items() if key[0] != "judge"}
        task_instance.pushed = {}
        branch = Judge(task_id="judge", portfolio=self.portfolio).choose_branch(self.context)
        for key, value in task_instance.pushed.items():
            task_instance.xcoms["judge", key] = json.loads(json.dumps(value))
        return branch

    def approve(self) -> Approve:
        assert self.portfolio.approval is not None
        return Approve(
            task_id="approve",
            portfolio=self.portfolio,
            approval=self.portfolio.approval,
            params=answer_form(["hotels"]),
        )

    def answer(
        self, *chosen: str, by: dict[str, str] | None = ADA, hold_back: list[str] | None = None
    ) -> None:
        """What Airflow hands to ``approve`` once somebody answered, or nobody did in time."""
        event = {
            "chosen_options": list(chosen),
            "params_input": {"hold_back": hold_back},
            "responded_at": ANSWERED_AT,
            "responded_by_user": by,
        }
        left = self.approve().execute_complete(self.context, event)
        self.context["ti"].xcoms["approve", "return_value"] = json.loads(json.dumps(left))

    def publish(self, training: Training | None = None) -> ModelOutcome:
        training = training or self.shop.training
        report = publish_run(
            app=self.shop.app,
            analytics=self.shop.app,
            s3=self.shop.s3,
            trainings=[training],
            dag_id="shop",
            run_id=training.run_id,
            data_date=training.data_date,
            portfolio="shop",
            activate=True,
            policy=policy_of(self.portfolio, self.shop.plan, read_answer(self.context)),
        )
        return report.outcomes[0]


@pytest.fixture
def asking(shop: Shop) -> Asking:
    databases.upgrade_analytics_db(shop.app)
    approval = Approval(within="2 hours", unanswered="reject")
    return Asking(shop, shop.portfolio.model_copy(update={"approval": approval}), shop.context())


def test_a_model_that_would_go_live_is_asked_about_with_the_attempt_that_is_shown(asking: Asking) -> None:
    training = asking.train()
    assert asking.judge() == "approve"
    pushed = asking.context["ti"].pushed
    assert pushed["asked"] == {training.training_id: 1}
    assert "| hotels | live, if approved |" in pushed["table"]


def test_nobody_is_asked_where_no_model_was_trained_or_nothing_is_to_be_published(asking: Asking) -> None:
    assert asking.judge() == "publish"
    asking.train()
    plan = asking.shop.plan.model_copy(update={"publish": False})
    asking.context["ti"].xcoms["plan", "plan"] = plan.model_dump(mode="json")
    assert asking.judge() == "publish"


@pytest.mark.parametrize(
    ("chosen", "by", "hold_back", "becomes"),
    [
        ("Approve", ADA, [], ("activated", "first_version")),
        ("Approve", ADA, None, ("activated", "first_version")),
        ("Approve", ADA, ["hotels"], ("held_back", "rejected")),
        ("Reject", ADA, [], ("held_back", "rejected")),
        # the time is over: Airflow chooses what the portfolio has for that
        ("Reject", None, None, ("held_back", "unanswered")),
        ("Approve", None, None, ("activated", "first_version")),
    ],
)
def test_what_a_person_or_the_time_limit_says_is_what_publish_does(
    asking: Asking, chosen: str, by: dict[str, str] | None, hold_back: list[str] | None, becomes: Any
) -> None:
    asking.train()
    asking.judge()
    asking.answer(chosen, by=by, hold_back=hold_back)
    outcome = asking.publish()
    assert (outcome.status, outcome.decision_code) == becomes
    answer = read_answer(asking.context)
    assert answer is not None
    assert (answer.by, answer.at) == (by and "ada", "2026-11-23T08:00:00+00:00")


@pytest.mark.parametrize(("unanswered", "default"), [("reject", "Reject"), ("approve", "Approve")])
def test_silence_is_answered_as_the_portfolio_says(asking: Asking, unanswered: Any, default: str) -> None:
    approval = Approval(within="2 hours", unanswered=unanswered)
    asking.portfolio = asking.portfolio.model_copy(update={"approval": approval})
    assert asking.approve().defaults == [default]


def test_an_approve_that_failed_activates_nothing_and_waits(asking: Asking) -> None:
    asking.train()
    asking.judge()
    with pytest.raises(Exception, match="lost"):
        asking.approve().execute_complete(asking.context, {"error": "lost", "error_type": "unknown"})
    assert read_answer(asking.context) is None
    outcome = asking.publish()
    assert (outcome.status, outcome.version_id) == ("waiting_for_approval", None)


def test_an_approval_does_not_cover_a_model_that_was_unpinned_while_the_question_waited(
    asking: Asking,
) -> None:
    first = Training(**{**vars(asking.shop.training), "run_id": "before"})
    asking.train(first)
    asking.context["ti"].xcoms["judge", "asked"] = {first.training_id: 1}
    asking.answer("Approve")
    assert asking.publish(first).status == "activated"
    hotels = ModelName("shop", "hotels")
    set_pin(asking.shop.app, hotels, pinned=True, actor="bob", reason="the sale")
    asking.train(serving=1)
    # pinned: nobody is asked about it, though the run's other models may be
    assert asking.judge() == "publish"
    asking.answer("Approve")
    set_pin(asking.shop.app, hotels, pinned=False, actor="bob", reason="over")
    assert asking.publish().status == "waiting_for_approval"


def test_an_answer_that_would_change_nothing_is_not_asked_for(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HITLOperator, "execute", lambda *_: "asked")
    asking.train()
    asking.judge()
    assert asking.approve().execute(asking.context) == "asked"
    asking.answer("Reject", by=None)
    assert asking.publish().decision_code == "unanswered"
    # approve is cleared by itself, then with judge
    with pytest.raises(AirflowFailException, match=r"published already.*version 1\..*rollback MODEL --to"):
        asking.approve().execute(asking.context)
    assert asking.judge() == "publish"
