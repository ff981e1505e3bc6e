from __future__ import annotations

from datetime import date, datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from trainyard.planning import RunRequest, RunRequestError, resolve_run

# what resolve_run reads of a portfolio
DEMO: Any = SimpleNamespace(
    name="demo",
    time_zone="America/New_York",
    data_lag_days=1,
    models={"breast_cancer": None, "flights": None, "hotels": None},
)
TWO_AT_NIGHT_UTC = datetime(2026, 11, 23, 2, 0, tzinfo=timezone.utc)


def resolve(*, logical_date: datetime | None = TWO_AT_NIGHT_UTC, **conf: Any) -> RunRequest:
    parameters = {"models": [], "data_date": None, "publish": True, **conf}
    return resolve_run(
        portfolio=DEMO,
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
            "conf key 'modls' is not accepted; accepted: models, data_date, publish (did you mean 'models'?)",
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
