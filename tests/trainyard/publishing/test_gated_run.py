"""Runs whose models are held to gates and to a person's answer: what serves then, and what is kept about why."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from trainyard.portfolio import Gate
from trainyard.publishing import Answer, Policy, find_comparables, history, markdown_table, review_run
from trainyard.publishing.rollback import ModelName, roll_back, set_pin
from trainyard.training import Training

if TYPE_CHECKING:
    from conftest import Yard

TODAY = date(2026, 11, 22)
YESTERDAY = TODAY - timedelta(days=1)
GATED = Policy(gates={"hotels": Gate()})


def night(
    yard: Yard,
    run: str,
    *,
    data_date: date = TODAY,
    excess: float = 0.0,
    below_best: float = 0.0,
    **parts: Any,
) -> Training:
    """A training launched now, compared with what it has to be compared with, and by so much worse than that."""
    training = yard.training("hotels", run=run, data_date=data_date)
    space = parts.pop("feature_space", "hotels-v1")
    found = find_comparables(yard.app, training=training, feature_space=space, num_features=240)
    old = {"champion": found.champion, "best_recent": found.best_recent}
    asked = {name: version and {"version_id": version.version_id} for name, version in old.items()}
    asked["serving"] = found.serving and {"version_id": found.serving}
    yard.attempt(training, request=asked | {"feature_space": space})
    on_test = {"rows": 50_000, "positives": 9_000, "log_loss": 0.3, "auc": 0.9, "positive_rate": 0.2}
    below = {"champion": excess, "best_recent": below_best}
    compared = {name: version and _compared(version, below[name]) for name, version in old.items()}
    metrics = {"metrics": {"test": on_test | parts.pop("test", {})}, "comparisons": compared}
    yard.folder(
        training,
        request=asked | {"feature_space": space},
        artifact={"feature_space": space},
        metrics=metrics | parts,
    ).write(yard.s3)
    return training


def _compared(version: Any, excess: float) -> dict[str, Any]:
    interval = {"standard_error": 1e-4, "low": 0.3 * excess - 2e-4, "high": 0.3 * excess + 2e-4}
    return {
        "version_id": version.version_id,
        "training_id": version.training_id,
        "attempt": version.attempt,
        "data_date": version.data_date.isoformat(),
        "metrics": {"log_loss": 0.3, "positive_rate": 0.2},
        "differences": {"log_loss": {"value": 0.3 * excess, "level": 0.95, "rows": 50_000, **interval}},
    }


def published(yard: Yard, training: Training, policy: Policy = GATED) -> Any:
    (outcome,) = yard.publish(training, policy=policy).outcomes
    return outcome


def test_a_challenger_as_good_as_the_champion_serves_and_a_worse_one_is_kept_and_does_not(yard: Yard) -> None:
    first = night(yard, "1", data_date=YESTERDAY)
    assert published(yard, first).status == "activated"
    worse = night(yard, "2", excess=0.01)
    outcome = published(yard, worse)
    assert (outcome.status, outcome.version_id, outcome.decision_code) == (
        "held_back",
        2,
        "worse_than_champion",
    )
    assert "the log loss is 1% above that of version 1, the champion on the same rows" in outcome.sentence
    assert yard.live() == {"hotels": first.training_id}
    good = night(yard, "3")
    assert published(yard, good).status == "activated"
    assert yard.live() == {"hotels": good.training_id}
    ((compared, rule),) = yard.rows(
        "SELECT report->'compared'->'champion'->>'version_id', report->'rules'->0->>'rule' "
        "FROM serving.decision WHERE version_id = 2"
    )
    assert (compared, rule) == ("1", "champion.margin")
    assert yard.rows("SELECT published_as, decision_code FROM analytics.training ORDER BY version_id") == [
        ("activated", "first_version"),
        ("held_back", "worse_than_champion"),
        ("activated", "newer_data"),
    ]


def test_too_few_rows_are_inconclusive_and_the_policy_decides(yard: Yard) -> None:
    first = night(yard, "1", data_date=YESTERDAY)
    published(yard, first)
    few = {"rows": 80, "positives": 20}
    assert published(yard, night(yard, "2", test=few)).status == "inconclusive"
    assert yard.live() == {"hotels": first.training_id}
    lenient = Policy(gates={"hotels": Gate(when_inconclusive="activate")})
    assert published(yard, night(yard, "3", test=few), lenient).status == "activated"
    ((reason,),) = yard.rows("SELECT reason FROM serving.activation ORDER BY activation_id DESC LIMIT 1")
    assert "inconclusive: there are 80 test rows; 1,000 are wanted" in reason
    assert yard.rows("SELECT decision_code FROM analytics.held_back") == [("inconclusive",)]
    assert yard.rows("SELECT published_as FROM analytics.training WHERE run_id = '2'") == [("inconclusive",)]


def test_a_champion_that_changed_after_the_launch_holds_the_challenger_back(yard: Yard) -> None:
    published(yard, night(yard, "1", data_date=YESTERDAY))
    early, late = night(yard, "2"), night(yard, "3")
    assert published(yard, early).status == "activated"
    outcome = published(yard, late)
    assert (outcome.status, outcome.decision_code) == ("held_back", "champion_changed")
    assert "version 1 served when it was launched, but version 2 serves since" in outcome.sentence
    assert yard.live() == {"hotels": early.training_id}


def test_what_changed_meanwhile_holds_back_even_where_the_gate_compares_nothing(yard: Yard) -> None:
    silent = Policy(gates={"hotels": Gate(margin=None)})
    early, late = night(yard, "1"), night(yard, "2")
    assert published(yard, early, silent).status == "activated"
    outcome = published(yard, late, silent)
    assert (outcome.status, outcome.decision_code) == ("held_back", "champion_changed")
    assert "nothing served when it was launched, but version 1 serves since" in outcome.sentence


def test_a_champion_of_another_feature_space_that_came_after_the_launch_holds_back_too(yard: Yard) -> None:
    published(yard, night(yard, "1", data_date=YESTERDAY))
    other, challenger = (
        night(yard, "2", feature_space="hotels-v2"),
        night(yard, "3", feature_space="hotels-v3"),
    )
    assert published(yard, other).status == "activated"
    assert published(yard, challenger).decision_code == "champion_changed"
    assert yard.live() == {"hotels": other.training_id}


def test_too_few_rows_keep_the_first_version_of_a_new_space_from_replacing_what_serves(yard: Yard) -> None:
    few = {"rows": 3, "positives": 1}
    # nothing serves that could be better; the log tells how little is known
    first = night(yard, "1", data_date=YESTERDAY, test=few)
    assert published(yard, first).status == "activated"
    ((reason,),) = yard.rows("SELECT reason FROM serving.activation")
    assert reason.startswith("the first version; inconclusive: there are 3 test rows; 1,000 are wanted")
    assert published(yard, night(yard, "2", feature_space="hotels-v2", test=few)).status == "inconclusive"
    assert yard.live() == {"hotels": first.training_id}


def test_a_first_version_of_few_rows_is_asked_about_all_the_same(yard: Yard) -> None:
    training = night(yard, "1", test={"rows": 3, "positives": 1})
    asking = Policy(gates={"hotels": Gate()}, asks=True)
    assert published(yard, training, asking).status == "waiting_for_approval"
    rejected = Answer(approved=False, by="ada", at="now", asked={training.training_id: 1})
    assert published(yard, training, replace(asking, answer=rejected)).decision_code == "rejected"
    assert yard.live() == {}


def compared_with(yard: Yard, *, data_date: date = TODAY, space: str = "hotels-v1") -> tuple[int | None, ...]:
    """Ids of champion and best version that a training launched now gets."""
    training = yard.training("hotels", run="x", data_date=data_date)
    found = find_comparables(yard.app, training=training, feature_space=space, num_features=240)
    return tuple(version and version.version_id for version in (found.champion, found.best_recent))


HOTELS = ModelName("demo", "hotels")


def test_versions_between_the_one_gone_back_from_and_the_one_gone_back_to_are_no_yardsticks(
    yard: Yard,
) -> None:
    # each looks 5% better than the one before, as with a leak
    for days in (4, 3, 2, 1):
        better = night(yard, f"{days}", data_date=TODAY - timedelta(days=days), excess=-0.05)
        assert published(yard, better).status == "activated"
    roll_back(yard.app, HOTELS, to=1, actor="ada", reason="a leak")
    set_pin(yard.app, HOTELS, pinned=False, actor="ada", reason="mended")
    assert compared_with(yard) == (1, None)
    # what a person puts live again is one again
    roll_back(yard.app, HOTELS, to=3, actor="ada", reason="it was none")
    roll_back(yard.app, HOTELS, to=2, actor="ada", reason="to look again")
    roll_back(yard.app, HOTELS, to=3, actor="ada", reason="sure")
    assert compared_with(yard) == (3, None)


def test_going_back_to_older_data_of_a_later_version_takes_back_what_lies_between(yard: Yard) -> None:
    for days in (2, 1):
        published(yard, night(yard, f"{days}", data_date=TODAY - timedelta(days=days), excess=-0.05))
    assert published(yard, night(yard, "0", data_date=TODAY - timedelta(days=3))).status == "recorded"
    roll_back(yard.app, HOTELS, to=3, actor="ada", reason="a leak since")
    assert compared_with(yard) == (3, None)


def test_a_space_that_a_model_comes_back_to_is_compared_with_its_own_last_version(yard: Yard) -> None:
    for days, space, excess in ((5, "hotels-v1", 0.0), (4, "hotels-v1", 0.002), (3, "hotels-v2", 0.0)):
        back = night(
            yard, f"{days}", data_date=TODAY - timedelta(days=days), feature_space=space, excess=excess
        )
        assert published(yard, back).status == "activated"
    # the better of the two, not the last one
    assert compared_with(yard) == (None, 1)
    assert compared_with(yard, space="hotels-v3") == (None, None)
    # and no month makes a first version of it
    assert compared_with(yard, data_date=TODAY + timedelta(days=90)) == (None, 2)
    outcome = published(yard, night(yard, "back", below_best=0.02))
    assert (outcome.status, outcome.decision_code) == ("held_back", "worse_than_best_recent")


def test_what_a_person_went_back_to_later_is_no_champion_of_an_earlier_day(yard: Yard) -> None:
    for days in (5, 4, 3, 2, 1):
        published(yard, night(yard, f"{days}", data_date=TODAY - timedelta(days=days)))
    roll_back(yard.app, HOTELS, to=1, actor="ada", reason="worse")
    # what serves is not of newer data: that is what a backfill would replace
    assert compared_with(yard, data_date=TODAY - timedelta(days=2))[0] == 1
    set_pin(yard.app, HOTELS, pinned=False, actor="ada", reason="mended")
    assert published(yard, night(yard, "0")).status == "activated"
    assert compared_with(yard, data_date=TODAY - timedelta(days=2))[0] == 4
    assert compared_with(yard, data_date=TODAY - timedelta(days=6))[0] is None


def test_the_first_version_of_a_new_feature_space_is_compared_with_nothing(yard: Yard) -> None:
    published(yard, night(yard, "1", data_date=YESTERDAY))
    new = night(yard, "2", feature_space="hotels-v2")
    assert published(yard, new).status == "activated"
    assert yard.live() == {"hotels": new.training_id}
    bad = night(yard, "3", feature_space="hotels-v3")
    bounded = Policy(gates={"hotels": Gate.model_validate({"bounds": {"auc": {"min": 0.95}}})})
    assert published(yard, bad, bounded).decision_code == "out_of_bounds"


def test_a_backfill_compares_with_the_champion_of_its_day_and_never_serves(yard: Yard) -> None:
    for number, days in enumerate((6, 4, 0), start=1):
        published(yard, night(yard, str(number), data_date=TODAY - timedelta(days=days)))

    def champion(days: int) -> int | None:
        training = yard.training("hotels", run="x", data_date=TODAY - timedelta(days=days))
        found = find_comparables(yard.app, training=training, feature_space="hotels-v1", num_features=240)
        return found.champion and found.champion.version_id

    assert [champion(days) for days in (7, 6, 5, 4, 2, 0)] == [None, 1, 1, 2, 2, 3]
    backfill = night(yard, "backfill", data_date=TODAY - timedelta(days=2))
    outcome = published(yard, backfill)
    assert (outcome.status, outcome.decision_code) == ("recorded", "older_data")


def test_small_steps_down_are_stopped_by_the_best_of_the_month(yard: Yard) -> None:
    best = night(yard, "1", data_date=TODAY - timedelta(days=3))
    published(yard, best)
    # two steps that each champion forgives; the second is twice as far from the best
    for days, below_best in ((2, 0.002), (1, 0.004)):
        step = night(
            yard, f"step {days}", data_date=TODAY - timedelta(days=days), excess=0.002, below_best=below_best
        )
        assert published(yard, step).status == "activated"
    training = yard.training("hotels", run="last")
    found = find_comparables(yard.app, training=training, feature_space="hotels-v1", num_features=240)
    assert found.champion is not None
    assert found.best_recent is not None
    assert (found.champion.version_id, found.best_recent.version_id) == (3, 1)
    assert found.best_recent.folder == best.attempt_folder(1)
    outcome = published(yard, night(yard, "4", excess=0.002, below_best=0.006))
    assert (outcome.status, outcome.decision_code) == ("held_back", "worse_than_best_recent")
    # after the month, it is no yardstick any more
    later = yard.training("hotels", run="later", data_date=TODAY + timedelta(days=27))
    found = find_comparables(yard.app, training=later, feature_space="hotels-v1", num_features=240)
    assert found.best_recent is None or found.best_recent.version_id != 1


def test_nothing_is_recorded_before_a_person_answers_and_the_answer_stands_in_the_log(yard: Yard) -> None:
    training = night(yard, "1")
    asking = Policy(gates={"hotels": Gate()}, asks=True)
    (reviewed,) = review_run(yard.app, yard.s3, trainings=[training], policy=asking)
    assert reviewed.decision.outcome == "waiting_for_approval"
    assert "| hotels | live, if approved | 0.3 | none |" in markdown_table([reviewed])
    waiting = published(yard, training, asking)
    assert (waiting.status, waiting.version_id) == ("waiting_for_approval", None)
    assert yard.live() == {}
    assert yard.rows(
        "SELECT published_as, decision_code, decision_sentence, decision_report <> '{}' FROM analytics.training"
    ) == [("waiting_for_approval", "waiting_for_approval", "nobody has said yet whether it may serve", True)]
    answer = Answer(
        approved=True,
        by="ada",
        at="2026-11-23T08:00:00+00:00",
        asked={training.training_id: reviewed.attempt},
    )
    assert published(yard, training, Policy(asking.gates, asks=True, answer=answer)).status == "activated"
    (event,) = history(yard.app, portfolio=None, model="hotels")
    assert event.reason == "the first version; approved by ada (2026-11-23T08:00:00+00:00)"
    assert yard.rows("SELECT report->'approval'->>'by' FROM serving.decision") == [("ada",)]
    assert yard.rows("SELECT published_as FROM analytics.training") == [("activated",)]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(approved=False, by="ada", at="now"), "rejected"),
        (Answer(approved=True, by="ada", at="now", held_back=frozenset({"hotels"})), "rejected"),
        (Answer(approved=False, by=None, at="now"), "unanswered"),
    ],
)
def test_what_a_person_or_the_time_limit_rejects_is_held_back_and_says_by_whom(
    yard: Yard, answer: Answer, code: str
) -> None:
    training = night(yard, "1")
    about = replace(answer, asked={training.training_id: 1})
    outcome = published(yard, training, Policy({"hotels": Gate()}, asks=True, answer=about))
    assert (outcome.status, outcome.decision_code) == ("held_back", code)
    assert "rejected by" in outcome.sentence
    assert yard.live() == {}


def test_where_the_portfolio_lets_silence_approve_the_log_says_so(yard: Yard) -> None:
    training = night(yard, "1")
    answer = Answer(approved=True, by=None, at="now", asked={training.training_id: 1})
    policy = Policy({"hotels": Gate()}, asks=True, answer=answer)
    assert published(yard, training, policy).status == "activated"
    ((reason,),) = yard.rows("SELECT reason FROM serving.activation")
    assert (
        reason
        == "the first version; approved by the portfolio's default, since nobody answered in time (now)"
    )


@pytest.mark.parametrize("asked", [{}, {"another training": 1}, {"its own": 2}])
def test_an_approval_counts_only_for_the_attempts_that_were_asked_about(
    yard: Yard, asked: dict[str, int]
) -> None:
    training = night(yard, "1")
    about = {training.training_id if name == "its own" else name: number for name, number in asked.items()}
    answer = Answer(approved=True, by="ada", at="now", asked=about)
    policy = Policy({"hotels": Gate()}, asks=True, answer=answer)
    outcome = published(yard, training, policy)
    assert (outcome.status, outcome.version_id) == ("waiting_for_approval", None)
    assert "clear the task judge" in outcome.sentence
    assert yard.live() == {}


def test_what_is_published_already_is_not_asked_about_again(yard: Yard) -> None:
    asking = Policy(gates={"hotels": Gate()}, asks=True)
    training = night(yard, "1")
    silence = Answer(approved=False, by=None, at="now", asked={training.training_id: 1})
    assert published(yard, training, replace(asking, answer=silence)).decision_code == "unanswered"
    assert review_run(yard.app, yard.s3, trainings=[training], policy=asking) == []


def test_nobody_is_asked_about_what_would_not_serve_anyhow(yard: Yard) -> None:
    asking = Policy(gates={"hotels": Gate()}, asks=True)
    published(yard, night(yard, "1"))
    backfill, worse = night(yard, "2", data_date=YESTERDAY), night(yard, "3", excess=0.02)
    assert published(yard, backfill, asking).status == "recorded"
    assert published(yard, worse, asking).status == "held_back"


def test_analytics_tells_what_serves_and_is_too_old(yard: Yard) -> None:
    today = datetime.now(timezone.utc).date()
    demand = Policy(fresh_within={name: timedelta(days=3) for name in ("cars", "hotels", "trains")})
    # a day less than is allowed, since the next may begin meanwhile
    yard.publish(yard.succeeded("hotels", data_date=today - timedelta(days=2)), policy=demand)
    yard.publish(yard.succeeded("cars", data_date=today - timedelta(days=4)), policy=demand)
    # without a demand, nothing is too old
    yard.publish(yard.succeeded("flights", data_date=today - timedelta(days=400)))
    failed = yard.training("trains", data_date=today)
    yard.attempt(failed, outcome="failed", failure_code="spot_lost")
    yard.publish(failed, policy=demand)
    assert yard.rows("SELECT model, stale FROM analytics.freshness ORDER BY model") == [
        ("cars", True),
        ("flights", False),
        ("hotels", False),
        ("trains", True),
    ]
