from __future__ import annotations

import psycopg
import pytest

from trainyard.laptop.postgres import PostgresError, PostgresServer


def test_the_server_answers_and_keeps_its_databases(postgres: PostgresServer, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        assert connection.execute(
            "SELECT current_setting('server_version_num')::int >= 180000"
        ).fetchone() == (True,)
    postgres.create_databases("twice")
    postgres.create_databases("twice")
    assert postgres.running()


def test_a_taken_port_is_an_error_with_the_servers_own_words(postgres: PostgresServer, tmp_path) -> None:
    second = PostgresServer(data_dir=tmp_path / "data", port=postgres.port)
    second.initialise()
    with pytest.raises(PostgresError, match="Address already in use"):
        second.start()
    assert not second.running()
