from __future__ import annotations

import pytest

from trainyard.laptop.environment import database_url
from trainyard.laptop.settings import SettingsError, read_settings
from trainyard.laptop.train import RunningSettings, read_running_settings

RUNNING = {
    "TRAINYARD_AIRFLOW_URL": "http://api-server:8080/",
    "TRAINYARD_LOCAL_AWS_URL": "http://local-aws:4566",
    "TRAINYARD_POSTGRES_URL": "postgresql://trainyard:secret@postgres",
    "TRAINYARD_ADMIN_PASSWORD": "word",
}


@pytest.fixture
def running() -> RunningSettings:
    return read_running_settings(RUNNING, read_settings({"TRAINYARD_STATE": "/state"}))


def test_every_part_is_asked_where_the_environment_says(running: RunningSettings) -> None:
    assert running.airflow_url == "http://api-server:8080"
    assert running.aws_url == "http://local-aws:4566"
    assert database_url(running, "app") == "postgresql://trainyard:secret@postgres/app"


def test_what_the_environment_does_not_say_is_as_on_the_laptop(running: RunningSettings) -> None:
    laptop = read_settings({"TRAINYARD_STATE": "/state"})
    assert (running.logs, running.dags, running.demo_limit_minutes) == (
        laptop.logs,
        laptop.dags,
        laptop.demo_limit_minutes,
    )


@pytest.mark.parametrize("variable", RUNNING)
def test_a_variable_that_is_missing_is_named(variable: str) -> None:
    with pytest.raises(SettingsError, match=f"set {variable}$"):
        read_running_settings({**RUNNING, variable: ""}, read_settings({}))
