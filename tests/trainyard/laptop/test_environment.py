from __future__ import annotations

import configparser
import json
import stat
from pathlib import Path

import pytest

from trainyard.laptop.airflow_config import write_airflow_config
from trainyard.laptop.credentials import load_credentials
from trainyard.laptop.environment import airflow_environment, base_environment
from trainyard.laptop.settings import ROOT, Settings, read_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({"TRAINYARD_STATE": str(tmp_path)})


def test_nothing_of_a_persons_own_aws_airflow_spark_or_python_gets_through(settings: Settings) -> None:
    own = {
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "real",
        "AIRFLOW__CORE__DAGS_FOLDER": "/mine",
        "SPARK_HOME": "/mine",
        "PYTHONPATH": "/mine",
        "PYTHONDONTWRITEBYTECODE": "1",
        "JAVA_TOOL_OPTIONS": "-Dmine",
        "PGHOST": "mine",
        "TRAINYARD_STACK": "another",
    }
    environment = base_environment({**own, "HOME": "/home/me", "JAVA_HOME": "/java"}, settings)
    assert [name for name, value in own.items() if environment.get(name) == value] == []
    assert (own.keys() & environment.keys()) == {"PYTHONPATH"}
    assert environment["PYTHONPATH"] == str(ROOT / "plugins")
    assert environment["HOME"] == "/home/me"
    assert environment["JAVA_HOME"] == "/java"


def test_no_call_can_reach_the_real_aws(settings: Settings) -> None:
    environment = base_environment({"AWS_ACCESS_KEY_ID": "AKIAREAL"}, settings)
    assert environment["AWS_ACCESS_KEY_ID"] == "test"
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:14566"
    assert environment["AWS_EC2_METADATA_DISABLED"] == "true"
    for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        assert not Path(environment[variable]).read_text()
    aws = json.loads(airflow_environment(settings)["AIRFLOW_CONN_AWS_DEFAULT"])
    assert aws["extra"] == {"region_name": "us-east-1", "endpoint_url": "http://127.0.0.1:14566"}


def test_a_proxy_for_the_world_does_not_get_the_calls_from_part_to_part(settings: Settings) -> None:
    environment = base_environment({"HTTP_PROXY": "http://proxy", "no_proxy": "intranet,localhost"}, settings)
    assert environment["no_proxy"] == environment["NO_PROXY"] == "intranet,localhost,127.0.0.1"


def test_secrets_are_made_once_and_readable_by_their_owner_only(settings: Settings) -> None:
    credentials = load_credentials(settings.run)
    write_airflow_config(settings, credentials)
    assert load_credentials(settings.run) == credentials
    secret = (
        settings.run / "credentials.json",
        settings.airflow_home / "airflow.cfg",
        settings.airflow_home / "passwords.json",
    )
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_a_file_of_secrets_cut_off_by_a_crash_is_made_anew(settings: Settings) -> None:
    settings.run.mkdir()
    (settings.run / "credentials.json").write_text('{"stack_id": "0')
    assert len(load_credentials(settings.run).stack_id) == 16


def test_airflow_listens_on_this_machine_only_and_loads_no_examples(settings: Settings) -> None:
    write_airflow_config(settings, load_credentials(settings.run))
    written = configparser.ConfigParser()
    written.read(settings.airflow_home / "airflow.cfg")
    assert written["api"]["host"] == "127.0.0.1"
    assert written["core"]["load_examples"] == "False"
    assert written["core"]["execution_api_server_url"] == "http://127.0.0.1:18080/execution/"
