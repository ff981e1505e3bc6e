"""How old what serves may be."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from trainyard.publishing.staleness import stale_models

TODAY = date(2026, 11, 22)
# two at night after the data date
NIGHT = datetime(2026, 11, 23, 2, tzinfo=timezone.utc)


def shop(fresh_within: str | None, time_zone: str = "UTC") -> Any:
    return SimpleNamespace(
        time_zone=time_zone,
        data_lag_days=1,
        models={name: SimpleNamespace(fresh_within=fresh_within) for name in ("hotels", "flights")},
    )


def stale(
    portfolio: Any, days_old: int | None, *, now: datetime = NIGHT, data_date: date = TODAY
) -> dict[str, str]:
    live = {} if days_old is None else {"hotels": TODAY - timedelta(days=days_old)}
    return stale_models(portfolio, models=["hotels"], data_date=data_date, live=live, now=now)


@pytest.mark.parametrize(
    ("demand", "oldest"), [("1 day", 0), ("26 hours", 1), ("25 hours", 0), ("3 days", 2)]
)
def test_so_many_nights_may_fail_and_the_next_is_told(demand, oldest):
    assert stale(shop(demand), oldest) == {}
    assert stale(shop(demand), oldest + 1).keys() == {"hotels"}


def test_a_model_that_failed_three_nights_is_told_with_its_age():
    assert stale(shop("3 days"), 3) == {
        "hotels": "what serves is of 2026-11-19, 3 days and 2 hours old, and data of the last 3 days are demanded"
    }


def test_a_model_that_never_served_is_older_than_any_demand():
    assert stale(shop("3 days"), None) == {
        "hotels": "nothing serves, and data of the last 3 days are demanded"
    }


def test_without_a_demand_nothing_is_too_old():
    assert stale(shop(None), 300) == {}
    assert stale(shop(None), None) == {}


def test_the_day_ends_where_the_portfolio_is():
    # eleven in the evening of the data date there, when in UTC its next day is three hours old
    now = datetime(2026, 11, 23, 4, tzinfo=timezone.utc)
    assert stale(shop("3 hours", "America/New_York"), 0, now=now) == {}
    assert stale(shop("3 hours", "UTC"), 0, now=now).keys() == {"hotels"}


def test_a_backfill_of_older_days_is_not_held_to_what_it_cannot_mend():
    assert stale(shop("3 days"), 30, data_date=TODAY - timedelta(days=30)) == {}
    assert stale(shop("3 days"), None, data_date=TODAY - timedelta(days=30)) == {}


def test_a_run_that_ended_late_is_held_to_the_demand():
    assert stale(shop("6 hours"), 0, now=NIGHT + timedelta(hours=23)).keys() == {"hotels"}
