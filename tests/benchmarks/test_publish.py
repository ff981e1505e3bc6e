"""The benchmarks of publishing at a size that says nothing but that they still run on what they measure."""

from __future__ import annotations

from sqlalchemy import text

from benchmarks.publish.gate import measure
from benchmarks.publish.readers import switch_under_readers
from trainyard.databases import engine, upgrade_app_db
from trainyard.laptop.postgres import PostgresServer


def test_readers_see_whole_switches(database_url: str, postgres: PostgresServer) -> None:
    database = engine(database_url)
    upgrade_app_db(database)
    log = postgres.data_dir / "server.log"
    found = switch_under_readers(database_url, log, switches=2, models=3)
    assert (found.switches, found.models, found.mixed) == (2, 3, 0)
    assert found.reads > 0
    with database.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM serving.activation")).scalar_one() == 9
    database.dispose()


def test_the_gate_decides_nights_of_every_kind() -> None:
    shares = measure(range(4))
    assert shares.equal_activated > 0
    assert len(shares.regressions_held_back) == 4
