"""How old what serves is, against what the portfolio demands: values in, sentences out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from trainyard.portfolio import Portfolio
from trainyard.portfolio.gate import age


def stale_models(
    portfolio: Portfolio, *, models: Sequence[str], data_date: date, live: Mapping[str, date], now: datetime
) -> dict[str, str]:
    """By model, in words, what serves although it is older than the portfolio demands.

    A version's age is counted from the end of its data date in the portfolio's time zone, so that one day is what a
    nightly run can keep. A run of the past, as in a backfill, could not have helped: it is not held to the demand.

    :param models: the models to look at
    :param data_date: the run's
    :param live: data date of the version that serves, by model; a model that has none serves nothing
    :param now: aware
    """
    today = now.astimezone(ZoneInfo(portfolio.time_zone)).date()
    # a day more, for a run that goes on past midnight
    if data_date < today - timedelta(days=portfolio.data_lag_days + 1):
        return {}
    stale = {}
    for name in models:
        demand = portfolio.models[name].fresh_within
        if demand is None:
            continue
        oldest = now - age(demand)
        served = live.get(name)
        if served is None:
            stale[name] = f"nothing serves, and data of the last {demand} are demanded"
        elif end_of(served, portfolio.time_zone) < oldest:
            old = _told(now - end_of(served, portfolio.time_zone))
            stale[name] = f"what serves is of {served}, {old} old, and data of the last {demand} are demanded"
    return stale


def end_of(day: date, time_zone: str) -> datetime:
    """When a day ends there; in UTC, since differences within one zone would leave out its changes of the clock."""
    midnight = datetime.combine(day + timedelta(days=1), time(), tzinfo=ZoneInfo(time_zone))
    return midnight.astimezone(timezone.utc)


def _told(old: timedelta) -> str:
    days, hours = old.days, old.seconds // 3600
    return f"{days} days and {hours} hours" if days else f"{hours} hours"
