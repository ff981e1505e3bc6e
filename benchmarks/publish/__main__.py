"""`make bench-publish`: how fast a run of many models is published, in how much memory, and what readers notice of it.

Ratios come from one session: publishing, a bare COPY of the same bytes, and pandas on the same rows, on one PostgreSQL.
Folders are read from this disk, so that no network is measured. Figures go to ``build/bench/publish.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.figures import Figure, report
from benchmarks.publish import bare_copy
from benchmarks.publish.readers import Switching, switch_under_readers
from benchmarks.publish.run_data import fill_ledger, write_folders
from trainyard.databases import engine, upgrade_analytics_db, upgrade_app_db
from trainyard.laptop.postgres import PostgresServer

PANDAS = Path(".venv-pandas/bin/python")
ROUNDS = 3
# schema → its databases' names, which end in the number of the round
SCHEMAS = {"serving": "app", "analytics": "analytics"}

Published = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.publish")
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--switches", type=int, default=100)
    parser.add_argument("--switched-models", type=int, default=200)
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="bench-publish-"))
    server = PostgresServer(data_dir=scratch / "postgres", port=_free_port())
    server.initialise()
    server.start()
    try:
        figures = _publishing(server, scratch, options.models)
        figures |= _reading(server, scratch, options.switches, options.switched_models)
    finally:
        server.stop(mode="immediate")
        shutil.rmtree(scratch)
    sys.exit(report("publish", figures))


def _publishing(server: PostgresServer, scratch: Path, models: int) -> dict[str, Figure]:
    attempts = write_folders(scratch, models)
    few = _publish(server, scratch, attempts[: max(1, models // 4)], round_=0)
    rounds, copies = [], []
    for number in range(1, ROUNDS + 1):
        # what the round before has written would be vacuumed beside this one
        _drop(server, number - 1)
        # the peer beside it, since a disk's speed may change within minutes
        rounds.append(_publish(server, scratch, attempts, round_=number))
        copies.append(_copies(server, scratch, round_=number))
    many = min(rounds, key=lambda each: each["switch_seconds"] + each["analytics_seconds"])
    copy_serving, copy_analytics = min(copies, key=sum)
    copy = copy_serving + copy_analytics
    to_sql, to_sql_curves = _to_sql(server.url(f"analytics_{ROUNDS}"))
    _drop(server, ROUNDS)
    writing = many["switch_seconds"] + many["analytics_seconds"]
    return {
        "models": Figure(models),
        "read_and_check_seconds": Figure(many["read_seconds"]),
        "switch_seconds": Figure(many["switch_seconds"]),
        "analytics_seconds": Figure(many["analytics_seconds"]),
        "bare_copy_seconds": Figure(copy),
        "bare_copy_analytics_seconds": Figure(copy_analytics),
        "pandas_to_sql_seconds": Figure(to_sql + to_sql_curves),
        "pandas_to_sql_seconds_without_curves": Figure(to_sql),
        "writing_over_bare_copy": Figure(writing / copy, 1.5),
        "analytics_over_to_sql": Figure(many["analytics_seconds"] / (to_sql + to_sql_curves), 0.2),
        "peak_mb_of_a_quarter": Figure(few["peak_mb"]),
        "peak_mb": Figure(many["peak_mb"]),
        "memory_over_that_of_a_quarter": Figure(many["peak_mb"] / few["peak_mb"], 1.1),
    }


def _publish(
    server: PostgresServer, scratch: Path, attempts: list[dict[str, Any]], *, round_: int
) -> Published:
    """Publish into fresh databases, in a process of its own."""
    names = _names(round_)
    server.create_databases(*names)
    app, analytics = (engine(server.url(name)) for name in names)
    upgrade_app_db(app)
    upgrade_analytics_db(analytics)
    fill_ledger(app, attempts)
    for database in (app, analytics):
        database.dispose()
    _settle(server, names)
    command = [sys.executable, "-m", "benchmarks.publish.one_publish", *map(server.url, names), str(scratch)]
    done = subprocess.run([*command, str(len(attempts))], check=True, stdout=subprocess.PIPE, text=True)
    told: Published = json.loads(done.stdout.splitlines()[-1])
    return told


def _copies(server: PostgresServer, scratch: Path, *, round_: int) -> list[float]:
    """The seconds of bare COPYs of what a round has published: of serving, then of analytics."""
    urls = dict(zip(SCHEMAS, map(server.url, _names(round_)), strict=True))
    for schema, url in urls.items():
        bare_copy.dump(url, schema, scratch)
    _settle(server, _names(round_))
    return [bare_copy.load(url, schema, scratch) for schema, url in urls.items()]


def _settle(server: PostgresServer, names: Sequence[str]) -> None:
    """Leave nothing of what came before for the server or the kernel to do beside what is timed next."""
    for name in names:
        with psycopg.connect(server.url(name), autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")
    os.sync()


def _drop(server: PostgresServer, round_: int) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        for name in _names(round_):
            connection.execute(f'DROP DATABASE IF EXISTS "{name}"')


def _names(round_: int) -> tuple[str, ...]:
    return tuple(f"{database}_{round_}" for database in SCHEMAS.values())


def _to_sql(url: str) -> tuple[float, float]:
    script = Path(__file__).with_name("to_sql.py")
    done = subprocess.run([PANDAS, script, url], check=True, stdout=subprocess.PIPE, text=True)
    rows, curves = map(float, done.stdout.split())
    return rows, curves


def _reading(server: PostgresServer, scratch: Path, switches: int, models: int) -> dict[str, Figure]:
    server.create_databases("switched")
    app = engine(server.url("switched"))
    upgrade_app_db(app)
    app.dispose()
    log = scratch / "postgres" / "server.log"
    found: Switching = switch_under_readers(server.url("switched"), log, switches=switches, models=models)
    return {
        "switches": Figure(found.switches),
        "models_switched_at_once": Figure(found.models),
        "reads": Figure(found.reads),
        "reads_of_a_mixed_set": Figure(found.mixed, 0),
        "reads_that_waited_over_50_ms_for_a_lock": Figure(found.lock_waits, 0),
        "slowest_read_ms": Figure(found.slowest_read_ms),
        "slowest_switch_ms": Figure(found.slowest_switch_ms),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
