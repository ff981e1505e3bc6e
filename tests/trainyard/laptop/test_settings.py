from __future__ import annotations

import socket
from pathlib import Path

import pytest

from trainyard.laptop.settings import ROOT, Ports, SettingsError, check_ports, read_settings


def test_without_variables_state_lies_in_the_checkout_and_ports_keep_clear_of_the_usual_ones() -> None:
    settings = read_settings({})
    assert settings.state == ROOT / ".trainyard"
    assert {5432, 4566, 8080, 8793, 8794}.isdisjoint(vars(settings.ports).values())


def test_every_port_and_the_state_folder_can_be_set(tmp_path: Path) -> None:
    settings = read_settings(
        {
            "TRAINYARD_STATE": str(tmp_path),
            "TRAINYARD_POSTGRES_PORT": "1001",
            "TRAINYARD_LOCAL_AWS_PORT": "1002",
            "TRAINYARD_AIRFLOW_PORT": "1003",
            "TRAINYARD_LOG_SERVER_PORT": "1004",
        }
    )
    assert settings.ports == Ports(postgres=1001, local_aws=1002, airflow=1003, log_server=1004)
    assert settings.state == tmp_path


@pytest.mark.parametrize("value", ["0", "65536", "http", "-1", "1.5", "٣"])
def test_what_is_no_port_is_refused_with_variable_and_value(value: str) -> None:
    with pytest.raises(SettingsError, match=f"TRAINYARD_AIRFLOW_PORT='{value}': accepted is a whole number"):
        read_settings({"TRAINYARD_AIRFLOW_PORT": value})


def test_two_parts_on_one_port_are_refused() -> None:
    with pytest.raises(
        SettingsError, match="TRAINYARD_LOCAL_AWS_PORT and TRAINYARD_POSTGRES_PORT are both 1001"
    ):
        read_settings({"TRAINYARD_POSTGRES_PORT": "1001", "TRAINYARD_LOCAL_AWS_PORT": "1001"})


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_is_named_with_the_variable_that_changes_it(address: str) -> None:
    with socket.socket() as server:
        server.bind((address, 0))
        server.listen()
        taken = server.getsockname()[1]
        with pytest.raises(SettingsError) as caught:
            check_ports(Ports(postgres=1, local_aws=taken, airflow=3, log_server=4))
    assert f"port {taken}, for local AWS, is taken" in str(
        caught.value
    ) or f"port {taken} for local AWS" in str(caught.value)
    assert "TRAINYARD_LOCAL_AWS_PORT" in str(caught.value)
