"""A person's word about what serves: it holds until the person takes it back, and the log says who and why."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from trainyard.publishing import history, live_models
from trainyard.publishing.rollback import ModelName, RollbackError, find_model, roll_back, set_pin

if TYPE_CHECKING:
    from conftest import Yard

DAY = date(2026, 11, 20)
TOMORROW = date(2026, 11, 23)
HOTELS = ModelName("demo", "hotels")


def published(yard: Yard, number: int, *models: str) -> None:
    """Version ``number`` of each model, of the number's day."""
    day = DAY + timedelta(days=number)
    yard.publish(
        *(yard.succeeded(model, run=f"run-{number}", data_date=day) for model in models or ("hotels",))
    )


def live_version(yard: Yard) -> int:
    (model,) = live_models(yard.app)
    return model.version_id


@pytest.fixture
def three(yard: Yard) -> Yard:
    for number in (1, 2, 3):
        published(yard, number)
    return yard


def test_a_rollback_serves_the_version_before_and_the_next_run_does_not_undo_it(three: Yard) -> None:
    change = roll_back(three.app, HOTELS, actor="ada", reason="calls too often")
    assert (change.version_id, change.replaced_version_id, live_version(three)) == (2, 3, 2)
    (outcome,) = three.publish(
        three.succeeded("hotels", run="night", data_date=DAY + timedelta(days=9))
    ).outcomes
    assert (outcome.status, live_version(three)) == ("recorded", 2)
    assert "the model is pinned to version 2 by ada: calls too often" in outcome.sentence
    assert three.rows("SELECT decision_code FROM analytics.training WHERE run_id = 'night'") == [("pinned",)]


def test_once_unpinned_the_next_run_goes_live_again(three: Yard) -> None:
    roll_back(three.app, HOTELS, actor="ada", reason="calls too often")
    set_pin(three.app, HOTELS, pinned=False, actor="bob", reason="mended")
    published(three, 4)
    assert live_version(three) == 4


def test_going_back_twice_goes_back_two_versions(three: Yard) -> None:
    roll_back(three.app, HOTELS, actor="ada", reason="worse")
    assert roll_back(three.app, HOTELS, actor="ada", reason="still worse").version_id == 1
    with pytest.raises(RollbackError, match=r"version 1 is the first that served of demo.hotels"):
        roll_back(three.app, HOTELS, actor="ada", reason="any other")


def test_a_person_may_let_any_version_serve_even_an_older_one_that_never_did(three: Yard) -> None:
    backfill = three.succeeded("hotels", run="backfill", data_date=DAY)
    assert three.publish(backfill).outcomes[0].status == "recorded"
    assert roll_back(three.app, HOTELS, actor="ada", reason="before the sale", to=4).version_id == 4
    assert three.live() == {"hotels": backfill.training_id}


def test_a_person_may_let_a_first_version_serve_that_its_gate_held_back(yard: Yard) -> None:
    infeasible = {"threshold_rule": {"rule": "precision_at_least", "feasible": False}}
    (outcome,) = yard.publish(yard.succeeded("hotels", metrics=infeasible)).outcomes
    assert (outcome.status, yard.live()) == ("held_back", {})
    with pytest.raises(RollbackError, match=r"no version of demo.hotels serves: `trainyard rollback .* --to"):
        set_pin(yard.app, HOTELS, pinned=True, actor="ada", reason="any")
    change = roll_back(yard.app, HOTELS, actor="ada", reason="good enough to begin", to=1, once=True)
    assert change.sentence.startswith("demo.hotels: version 1 serves instead of nothing, pinned")
    assert roll_back(yard.app, HOTELS, actor="ada", reason="again", to=1, once=True) == change
    (model,) = live_models(yard.app)
    assert (model.version_id, model.actor, model.replaced_version_id, model.pinned) == (1, "ada", None, True)
    (next_night,) = yard.publish(yard.succeeded("hotels", run="2", data_date=TOMORROW)).outcomes
    assert (next_night.status, next_night.decision_code) == ("recorded", "pinned")
    set_pin(yard.app, HOTELS, pinned=False, actor="ada", reason="the night's may serve")
    published(yard, 9)
    assert live_version(yard) == 3
    assert roll_back(yard.app, HOTELS, actor="ada", reason="worse").version_id == 1


@pytest.mark.parametrize(
    ("to", "sentence"),
    [
        (3, "version 3 of demo.hotels serves already"),
        (99, "demo.hotels has no version 99; `trainyard history"),
    ],
)
def test_a_version_that_cannot_be_gone_back_to_is_refused_and_nothing_changes(
    three: Yard, to: int, sentence: str
) -> None:
    with pytest.raises(RollbackError, match=sentence):
        roll_back(three.app, HOTELS, actor="ada", reason="any", to=to)
    assert live_version(three) == 3
    assert three.rows("SELECT count(*) FROM serving.pin") == [(0,)]


def test_another_models_version_is_refused(yard: Yard) -> None:
    published(yard, 1, "flights", "hotels")
    with pytest.raises(RollbackError, match=r"demo.hotels has no version 1"):
        roll_back(yard.app, HOTELS, actor="ada", reason="a slip", to=1)


def test_a_reason_is_asked_for(three: Yard) -> None:
    with pytest.raises(RollbackError, match="a reason is asked for"):
        roll_back(three.app, HOTELS, actor="ada", reason="  ")


def test_a_retried_request_is_done_once(three: Yard) -> None:
    first = roll_back(three.app, HOTELS, actor="ada, run 7", reason="worse", once=True)
    assert roll_back(three.app, HOTELS, actor="ada, run 7", reason="worse", once=True) == first
    assert live_version(three) == 2
    set_pin(three.app, HOTELS, pinned=False, actor="ada, run 8", reason="mended", once=True)
    set_pin(three.app, HOTELS, pinned=False, actor="ada, run 8", reason="mended", once=True)
    assert three.rows("SELECT pinned, actor FROM serving.pin ORDER BY pin_id") == [
        (True, "ada, run 7"),
        (False, "ada, run 8"),
    ]


def test_pinning_what_is_pinned_names_who_did(three: Yard) -> None:
    with pytest.raises(RollbackError, match=r"demo.hotels is not pinned"):
        set_pin(three.app, HOTELS, pinned=False, actor="bob", reason="any")
    set_pin(three.app, HOTELS, pinned=True, actor="ada", reason="holidays")
    with pytest.raises(RollbackError, match="pinned already, by ada"):
        set_pin(three.app, HOTELS, pinned=True, actor="bob", reason="any")
    published(three, 4)
    assert live_version(three) == 3


def test_what_served_at_any_time_is_known(three: Yard) -> None:
    before = datetime.now(timezone.utc)
    time.sleep(0.001)
    roll_back(three.app, HOTELS, actor="ada", reason="worse")
    assert [(model.version_id, model.pinned) for model in live_models(three.app)] == [(2, True)]
    assert [(model.version_id, model.pinned) for model in live_models(three.app, at=before)] == [(3, False)]
    assert live_models(three.app, at=datetime(2020, 1, 1, tzinfo=timezone.utc)) == []


def test_what_served_is_found_by_an_index_however_long_the_log_is(yard: Yard) -> None:
    versions = (
        "INSERT INTO serving.model_version (portfolio, model, data_date, training_id, attempt, artifact,"
        " artifact_sha256, feature_space, num_features, threshold, lineage)"
        " SELECT 'demo', 'm' || n, '2026-11-20', lpad(to_hex(n), 16, '0'), 1, '\\x00', repeat('a', 64), 'v1', 7, 0.5,"
        " '{}' FROM generate_series(1, 1000) AS n"
    )
    activations = (
        "INSERT INTO serving.activation (version_id, portfolio, model, actor, reason, activated_at)"
        " SELECT version_id, portfolio, model, 'a run', 'newer', timestamptz '2026-01-01Z' + day * interval '1 day'"
        " FROM generate_series(0, 39) AS day, serving.model_version"
    )
    with yard.app.begin() as connection:
        connection.execute(text(versions))
        connection.execute(text(activations))
    asked: list[tuple[str, Any]] = []
    with yard.app.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))

    def ask(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    event.listen(yard.app, "before_cursor_execute", ask)
    at = datetime(2026, 1, 10, tzinfo=timezone.utc)
    found = live_models(yard.app, at=at)
    event.remove(yard.app, "before_cursor_execute", ask)
    assert len(found) == 1000
    assert {model.activated_at for model in found} == {at}
    ((statement, parameters),) = asked
    with yard.app.connect() as connection:
        plan = "\n".join(
            connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars()  # the tool's own query
        )
    assert "using activation_by_model" in plan, plan
    assert "Seq Scan on activation" not in plan, plan


def test_the_history_tells_who_did_what_and_why(three: Yard) -> None:
    roll_back(three.app, HOTELS, actor="ada", reason="worse")
    published(three, 4)
    set_pin(three.app, HOTELS, pinned=False, actor="bob", reason="mended")
    events = history(three.app, portfolio=None, model="hotels")
    assert [(event.event, event.version_id, event.actor, event.live) for event in events] == [
        ("unpinned", 2, "bob", False),
        ("recorded", 4, None, False),
        ("pinned", 2, "ada", False),
        ("activated", 2, "ada", True),
        ("activated", 3, "run run-3 of DAG demo", False),
        ("activated", 2, "run run-2 of DAG demo", False),
        ("activated", 1, "run run-1 of DAG demo", False),
    ]


def test_ids_and_times_ascend_together_whoever_acts(three: Yard) -> None:
    roll_back(three.app, HOTELS, actor="ada", reason="worse")
    set_pin(three.app, HOTELS, pinned=False, actor="ada", reason="mended")
    published(three, 4)
    rows = three.rows("SELECT activation_id, activated_at FROM serving.activation ORDER BY activation_id")
    assert [row[0] for row in rows] == [1, 2, 3, 4, 5]
    assert [row[1] for row in rows] == sorted(row[1] for row in rows)


def test_an_insert_by_hand_goes_on_counting(three: Yard) -> None:
    with three.app.begin() as connection:
        inserted = connection.execute(
            text(
                "INSERT INTO serving.activation (version_id, portfolio, model, actor, reason, replaced_version_id) "
                "VALUES (1, 'demo', 'hotels', 'ada', 'by hand', 3) RETURNING activation_id"
            )
        ).scalar_one()
    assert (inserted, live_version(three)) == (4, 1)
    published(three, 4)
    assert live_version(three) == 4


def test_a_model_is_found_by_its_portfolio_where_its_name_alone_is_not_enough(yard: Yard) -> None:
    published(yard, 1, "flights", "hotels")
    with yard.app.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO serving.model_version (portfolio, model, data_date, training_id, attempt, artifact_uri,"
                " artifact_sha256, feature_space, num_features, threshold, lineage) "
                "VALUES ('shop', 'hotels', '2026-11-20', repeat('a', 16), 1, 's3://b/k', repeat('a', 64), 'v', 1, 0,"
                " '{}')"
            )
        )
    assert find_model(yard.app, "flights") == ModelName("demo", "flights")
    assert find_model(yard.app, "shop.hotels") == ModelName("shop", "hotels")
    assert find_model(yard.app, "hotels", portfolio="shop") == ModelName("shop", "hotels")
    with pytest.raises(RollbackError, match=r"say which of demo.hotels, shop.hotels"):
        find_model(yard.app, "hotels")
    with pytest.raises(RollbackError, match="model hotel has no version in portfolio shop; nearest: hotels"):
        find_model(yard.app, "shop.hotel")
    with pytest.raises(RollbackError, match=r"shop.hotels names another portfolio than demo"):
        find_model(yard.app, "shop.hotels", portfolio="demo")
    with pytest.raises(RollbackError, match=r"no version of shop.hotels serves"):
        roll_back(yard.app, ModelName("shop", "hotels"), actor="ada", reason="any")


@pytest.mark.parametrize("change", ["UPDATE serving.pin SET pinned = false", "DELETE FROM serving.pin"])
def test_the_log_of_pins_is_only_added_to(three: Yard, change: str) -> None:
    set_pin(three.app, HOTELS, pinned=True, actor="ada", reason="holidays")
    with pytest.raises(DBAPIError, match="is only added to"), three.app.begin() as connection:
        connection.execute(text(change))
