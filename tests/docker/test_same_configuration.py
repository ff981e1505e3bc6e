"""Airflow in the containers is configured as on the laptop: what differs is named here, with the reason."""

from __future__ import annotations

import configparser
import json
from pathlib import Path
from typing import Any

import pytest

from trainyard.laptop.airflow_config import write_airflow_config
from trainyard.laptop.credentials import Credentials
from trainyard.laptop.environment import airflow_environment, base_environment
from trainyard.laptop.settings import Settings, read_settings

PLACES_AND_SECRETS = {
    "core.fernet_key",
    "core.execution_api_server_url",
    "core.simple_auth_manager_passwords_file",
    "database.sql_alchemy_conn",
    "database.sql_alchemy_conn_async",
    "api.base_url",
    "api.secret_key",
    "api_auth.jwt_secret",
    "logging.base_log_folder",
    "logging.dag_processor_child_process_log_directory",
}
IN_THE_IMAGE = {"core.dags_folder", "core.plugins_folder"}
ON_THE_COMMAND_LINE = {"api.host", "api.port"}
# each part has an address of its own here; the laptop's parts share one
LAPTOP_ONLY = {
    "core.hostname_callable",
    "logging.worker_log_server_port",
    "logging.trigger_log_server_port",
}
# on the laptop by the number of its processors, which a compose file can't count
BY_PROCESSORS = {"core.parallelism"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({"TRAINYARD_STATE": str(tmp_path)})


@pytest.fixture
def on_laptop(settings: Settings) -> dict[str, str]:
    credentials = Credentials(stack_id="i", password="p", fernet_key="f", api_secret_key="s", jwt_secret="j")
    write_airflow_config(settings, credentials)
    parser = configparser.ConfigParser()
    parser.read(settings.airflow_home / "airflow.cfg")
    return {
        f"{section}.{name}": value for section in parser.sections() for name, value in parser[section].items()
    }


@pytest.fixture
def in_containers(services: dict[str, Any]) -> dict[str, str]:
    return dict(services["api-server"]["environment"])


def airflow_options(environment: dict[str, str]) -> dict[str, str]:
    return {
        ".".join(name.lower().split("__")[1:]): value
        for name, value in environment.items()
        if name.startswith("AIRFLOW__")
    }


def test_every_option_of_the_laptop_has_the_same_value(
    on_laptop: dict[str, str], in_containers: dict[str, str]
) -> None:
    options = airflow_options(in_containers)
    assert set(options) == set(on_laptop) - IN_THE_IMAGE - ON_THE_COMMAND_LINE - LAPTOP_ONLY
    same = set(options) - PLACES_AND_SECRETS - BY_PROCESSORS
    assert {name: options[name].lower() for name in same} == {name: on_laptop[name].lower() for name in same}


def test_what_the_image_decides_is_in_the_image(stages: dict[str, list[str]]) -> None:
    environment = " ".join(line for line in stages["airflow"] if line.startswith("ENV "))
    for option in IN_THE_IMAGE:
        section, name = option.split(".")
        assert f"AIRFLOW__{section.upper()}__{name.upper()}=/opt/trainyard/" in environment


def test_connections_and_variables_are_those_of_the_laptop(
    settings: Settings, in_containers: dict[str, str]
) -> None:
    expected = airflow_environment(settings)
    names = {name for name in expected if name.startswith(("AIRFLOW_CONN_", "AIRFLOW_VAR_"))}
    assert {name for name in in_containers if name.startswith(("AIRFLOW_CONN_", "AIRFLOW_VAR_"))} == names
    for name in names:
        assert without_address(in_containers[name]) == without_address(expected[name])


def test_real_aws_is_kept_out_of_reach_as_on_the_laptop(
    settings: Settings, in_containers: dict[str, str]
) -> None:
    expected = {
        name: value for name, value in base_environment({}, settings).items() if name.startswith("AWS_")
    }
    assert {name: value for name, value in in_containers.items() if name.startswith("AWS_")} == {
        **expected,
        "AWS_ENDPOINT_URL": "http://local-aws:4566",
    }


def without_address(text: str) -> Any:
    value = json.loads(text)
    if isinstance(value.get("extra"), dict):
        del value["extra"]["endpoint_url"]
    if value.get("conn_type") == "postgres":
        # the laptop's server trusts this machine
        value = {key: value[key] for key in value.keys() - {"host", "port", "password"}}
    return value
