"""The peer that does the least: COPY of the same bytes, in the same forms, into tables without keys or checks."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg

# in the forms in which publishing sends them
TABLES = {
    "serving.model_version": "(FORMAT BINARY)",
    "serving.decision": "(FORMAT BINARY)",
    "serving.activation": "(FORMAT BINARY)",
    "analytics.training": "",
    "analytics.split_metrics": "",
    "analytics.comparison": "",
    "analytics.curve": "",
}
_BLOCK_BYTES = 1 << 20


def dump(url: str, schema: str, folder: Path) -> None:
    """Write each table of a schema as a file."""
    with psycopg.connect(url) as connection:
        for table, form in _of(schema).items():
            columns = ", ".join(_columns(connection, table))
            with (
                (folder / table).open("wb") as file,
                connection.cursor().copy(f"COPY {table} ({columns}) TO STDOUT {form}") as copy,
            ):
                for block in copy:
                    file.write(block)


def load(url: str, schema: str, folder: Path) -> float:
    """The seconds that loading the files takes, one transaction."""
    with psycopg.connect(url) as connection:
        columns = {table: ", ".join(_columns(connection, table)) for table in _of(schema)}
        connection.execute("DROP SCHEMA IF EXISTS bare CASCADE")
        connection.execute("CREATE SCHEMA bare")
        for table in _of(schema):
            connection.execute(f"CREATE TABLE bare.{_name(table)} (LIKE {table} INCLUDING STORAGE)")
        connection.commit()
        start = time.perf_counter()
        for table, form in _of(schema).items():
            with (
                (folder / table).open("rb") as file,
                connection.cursor().copy(
                    f"COPY bare.{_name(table)} ({columns[table]}) FROM STDIN {form}"
                ) as copy,
            ):
                while block := file.read(_BLOCK_BYTES):
                    copy.write(block)
        connection.commit()
        return time.perf_counter() - start


def _of(schema: str) -> dict[str, str]:
    return {table: form for table, form in TABLES.items() if table.startswith(f"{schema}.")}


def _name(table: str) -> str:
    return table.partition(".")[2]


def _columns(connection: psycopg.Connection, table: str) -> list[str]:
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = CAST(%s AS regclass) AND attnum > 0 "
        "AND attgenerated = '' AND NOT attisdropped ORDER BY attnum",
        (table,),
    )
    return [row[0] for row in rows]
