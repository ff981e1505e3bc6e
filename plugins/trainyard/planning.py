"""What one DAG run is to do, resolved once: its data date, its models, whether it publishes. No Airflow, no AWS."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from trainyard.portfolio import Portfolio, PortfolioError, overridden

RUN_PARAMETERS = ("models", "data_date", "publish", "overrides")


class RunRequestError(Exception):
    """The run was asked for something that cannot be; the text names the key, its value and what is accepted."""


@dataclass(frozen=True)
class RunRequest:
    """What a run is to do.

    :param models: names, sorted
    :param publish: false: the metrics are recorded and no version is
    :param overrides: what comes over the settings of each chosen model, checked
    """

    data_date: date
    models: tuple[str, ...]
    publish: bool
    overrides: Mapping[str, Any] = field(default_factory=dict)


def resolve_run(
    *,
    portfolio: Portfolio,
    parameters: Mapping[str, Any],
    conf: Mapping[str, Any],
    logical_date: datetime | None,
    run_after: datetime,
) -> RunRequest:
    """Resolve the run's parameters.

    :param parameters: Airflow's merged params: ``models``, ``data_date``, ``publish`` (none: yes, unless settings
        are overridden), ``overrides``
    :param conf: the run's own; Airflow lets unknown keys pass, and a mistyped ``modls`` would train everything
    :param logical_date: aware; none where the run was triggered without one
    :param run_after: aware; stands in for the logical date where there is none
    :raises RunRequestError: an unknown key or model, or a mistaken value
    """
    for key, value in conf.items():
        if key not in RUN_PARAMETERS:
            raise RunRequestError(f"conf key {key!r} is not accepted; {_accepted(key, RUN_PARAMETERS)}")
        if parameters.get(key) != value:
            raise RunRequestError(
                f"{key}: the conf says {value!r} and the run's parameters {parameters.get(key)!r}; "
                "Airflow's option [core] dag_run_conf_overrides_params must be on, as it is by default"
            )
    publish = parameters.get("publish")
    if not isinstance(publish, bool | None):
        raise RunRequestError(f"publish: {publish!r} is not accepted; true or false is")
    models = _models(portfolio, parameters.get("models") or ())
    overrides = _overrides(portfolio, models, parameters.get("overrides"))
    return RunRequest(
        data_date=_data_date(portfolio, parameters.get("data_date"), logical_date or run_after),
        models=models,
        publish=not overrides if publish is None else publish,
        overrides=overrides,
    )


def _data_date(portfolio: Portfolio, asked: Any, moment: datetime) -> date:
    if asked is None:
        day = moment.astimezone(ZoneInfo(portfolio.time_zone)).date()
        return day - timedelta(days=portfolio.data_lag_days)
    try:
        return date.fromisoformat(asked)
    except (TypeError, ValueError):
        raise RunRequestError(f"data_date: {asked!r} is not accepted; a date as 2026-01-31 is") from None


def _models(portfolio: Portfolio, asked: Any) -> tuple[str, ...]:
    if isinstance(asked, str) or not isinstance(asked, Iterable):
        raise RunRequestError(f"models: {asked!r} is not accepted; a list of model names is")
    chosen = set(asked)
    for name in chosen - portfolio.models.keys():
        raise RunRequestError(
            f"models: {name!r} is not a model of {portfolio.name}; {_accepted(str(name), portfolio.models)}"
        )
    return tuple(sorted(chosen or portfolio.models))


def _overrides(portfolio: Portfolio, models: Sequence[str], asked: Any) -> Mapping[str, Any]:
    if not isinstance(asked, Mapping | None):
        raise RunRequestError(
            f"overrides: {asked!r} is not accepted; a mapping of a model's fields is, as in the portfolio's file"
        )
    if asked:
        try:
            overridden(portfolio, models=models, overrides=asked)
        except PortfolioError as error:
            raise RunRequestError(str(error)) from error
    return dict(asked or {})


def _accepted(mistaken: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(mistaken, names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"accepted: {', '.join(names)}{hint}"
