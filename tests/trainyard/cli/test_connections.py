from __future__ import annotations

import json

import pytest

from trainyard.cli.connections import database_url
from trainyard.databases import DatabaseError, engine


def test_the_cli_takes_the_environment_before_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_ANALYTICS_DB_URL", "postgresql://elsewhere/analytics")
    assert database_url("analytics_db") == "postgresql://elsewhere/analytics"


def test_the_cli_falls_back_to_the_airflow_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRAINYARD_APP_DB_URL", raising=False)
    extra = {"sslmode": "disable", "keepalives_idle": 30}
    connection = {
        "conn_type": "postgres",
        "host": "127.0.0.1",
        "login": "ada",
        "password": "p@ss/w",
        "schema": "app",
    }
    monkeypatch.setenv("AIRFLOW_CONN_APP_DB", json.dumps(connection | {"extra": extra}))
    url = engine(database_url("app_db")).url
    assert (url.host, url.password, url.database) == ("127.0.0.1", "p@ss/w", "app")
    assert dict(url.query) == {"sslmode": "disable", "keepalives_idle": "30"}


def test_without_either_the_cli_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRAINYARD_APP_DB_URL", raising=False)
    monkeypatch.delenv("AIRFLOW_CONN_APP_DB", raising=False)
    with pytest.raises(DatabaseError, match=r"TRAINYARD_APP_DB_URL is not set .* no connection 'app_db'"):
        database_url("app_db")
