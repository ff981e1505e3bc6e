"""Airflow's own tables: migrated where they have to be, and left alone, in milliseconds, where they need not.

``airflow db migrate`` takes seconds to find that there is nothing to do. The revision that it arrived at is
remembered with Airflow's version; while both are still so, it is not run.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import psycopg

from trainyard.laptop.credentials import write_private
from trainyard.laptop.environment import database_url
from trainyard.laptop.settings import Settings


def is_at_head(settings: Settings) -> bool:
    """Whether the database is where the installed Airflow's last migration left it."""
    try:
        remembered = json.loads(_memory(settings).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return bool(remembered == _state(settings))


def remember_head(settings: Settings) -> None:
    """Remember that the database is migrated now."""
    write_private(_memory(settings), json.dumps(_state(settings)) + "\n")


def _state(settings: Settings) -> dict[str, str | None]:
    with psycopg.connect(database_url(settings, "airflow")) as connection:
        row = connection.execute("SELECT to_regclass('alembic_version')::text").fetchone()
        known = row is not None and row[0] is not None
        revision = connection.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
    return {"airflow": version("apache-airflow-core"), "revision": revision[0] if revision else None}


def _memory(settings: Settings) -> Path:
    return settings.run / "airflow-schema.json"
