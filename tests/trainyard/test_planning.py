from __future__ import annotations

from datetime import date, datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trainyard.planning import RunRequest, RunRequestError, resolve_run
from trainyard.portfolio import load_portfolio

DEMO_FILE = Path(__file__).parents[2] / "dags" / "portfolios" / "demo.yaml"

# what resolve_run reads of a portfolio
DEMO: Any = SimpleNamespace(
    name="demo",
    time_zone="America/New_York",
    data_lag_days=1,
    models={"breast_cancer": None, "flights": None, "hotels": None},
)
TWO_AT_NIGHT_UTC = datetime(2026, 11, 23, 2, 0, tzinfo=timezone.utc)


def resolve(
    *, portfolio: Any = DEMO, logical_date: datetime | None = TWO_AT_NIGHT_UTC, **conf: Any
) -> RunRequest:
    parameters = {"models": [], "data_date": None, "publish": None, "overrides": None, **conf}
    return resolve_run(
        portfolio=portfolio,
        parameters=parameters,
        conf=conf,
        logical_date=logical_date,
        run_after=TWO_AT_NIGHT_UTC,
    )


def test_the_data_date_is_the_run_s_day_in_the_portfolio_s_time_zone_less_its_lag() -> None:
    # two at night in UTC is still the day before in New York
    assert resolve().data_date == date(2026, 11, 21)


def test_a_run_without_a_logical_date_goes_by_its_run_after() -> None:
    assert resolve(logical_date=None).data_date == date(2026, 11, 21)


def test_the_parameter_overrides_the_data_date() -> None:
    assert resolve(data_date="2026-01-31").data_date == date(2026, 1, 31)


def test_no_models_chosen_means_all_and_a_choice_is_sorted() -> None:
    assert resolve().models == ("breast_cancer", "flights", "hotels")
    assert resolve(models=["hotels", "flights", "hotels"]).models == ("flights", "hotels")


@pytest.mark.parametrize(
    ("conf", "sentence"),
    [
        (
            {"modls": ["hotels"]},
            "conf key 'modls' is not accepted; "
            "accepted: models, data_date, publish, overrides (did you mean 'models'?)",
        ),
        (
            {"models": ["hotel"]},
            "models: 'hotel' is not a model of demo; "
            "accepted: breast_cancer, flights, hotels (did you mean 'hotels'?)",
        ),
        ({"models": "hotels"}, "models: 'hotels' is not accepted; a list of model names is"),
        ({"data_date": "31.1.2026"}, "data_date: '31.1.2026' is not accepted; a date as 2026-01-31 is"),
        ({"data_date": 20260131}, "data_date: 20260131 is not accepted; a date as 2026-01-31 is"),
        ({"publish": "no"}, "publish: 'no' is not accepted; true or false is"),
        (
            {"overrides": ["retries"]},
            "overrides: ['retries'] is not accepted; "
            "a mapping of a model's fields is, as in the portfolio's file",
        ),
    ],
)
def test_a_mistaken_request_is_refused_with_what_is_accepted(conf: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RunRequestError) as error:
        resolve(**conf)
    assert str(error.value) == sentence


def test_an_airflow_that_ignores_the_conf_is_told_so_instead_of_training_everything() -> None:
    with pytest.raises(RunRequestError, match="dag_run_conf_overrides_params must be on"):
        resolve_run(
            portfolio=DEMO,
            parameters={"models": [], "data_date": None, "publish": True},
            conf={"models": ["hotels"]},
            logical_date=None,
            run_after=TWO_AT_NIGHT_UTC,
        )


def test_a_run_publishes_unless_it_is_told_not_to() -> None:
    assert [resolve().publish, resolve(publish=True).publish, resolve(publish=False).publish] == [
        True,
        True,
        False,
    ]


def test_a_run_with_overrides_publishes_only_if_it_is_told_to() -> None:
    overrides = {"learner": {"params": {"regParam": 0.5}}}
    demo = load_portfolio(DEMO_FILE)
    runs = [
        resolve(portfolio=demo, overrides=overrides, **asked)
        for asked in ({}, {"publish": True}, {"publish": False})
    ]
    assert [run.publish for run in runs] == [False, True, False]
    assert {run.overrides == overrides for run in runs} == {True}
    # an empty mapping changes nothing, and so no reason not to publish
    assert resolve(portfolio=demo, overrides={}).publish


def test_a_mistake_in_the_overrides_fails_the_plan_in_the_portfolios_words() -> None:
    with pytest.raises(RunRequestError) as error:
        resolve(
            portfolio=load_portfolio(DEMO_FILE),
            overrides={"learner": {"params": {"regParam": -1}}, "thresold": 0.5},
        )
    assert str(error.value).splitlines() == [
        "overrides: every chosen model, learner.params.regParam: -1 is not accepted; a number of at least 0",
        "overrides: every chosen model, thresold: is no known field; nearest: threshold",
    ]
