"""A peer: pandas writes the analytics rows by ``to_sql``, all settings at their defaults.

.venv-pandas/bin/python to_sql.py URL: reads the rows of schema analytics and appends them to empty tables with the same
keys; prints the seconds that appending trainings and metrics took, and those that curves took. By its defaults to_sql
writes no arrays, so that a metric is a row, and a curve a row a point.
"""

from __future__ import annotations

import sys
import time

import pandas as pd
from sqlalchemy import create_engine, text

TABLES = ("training", "metric", "comparison", "curve")


def main(url: str) -> None:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        # a column without any value has no type that to_sql could guess
        frames = {
            table: pd.read_sql(text(f"TABLE analytics.{table}"), connection).dropna(axis=1, how="all")
            for table in TABLES
        }
        # pandas reads jsonb as dictionaries, which to_sql does not write; the last is generated
        frames["training"] = frames["training"].drop(
            columns=["warnings", "decision_report", "cluster_seconds"]
        )
        connection.execute(text("DROP SCHEMA IF EXISTS peer CASCADE"))
        connection.execute(text("CREATE SCHEMA peer"))
        for table in TABLES[:-1]:
            connection.execute(text(f"CREATE TABLE peer.{table} (LIKE analytics.{table} INCLUDING ALL)"))
        # a view has no key to be like
        connection.execute(
            text("ALTER TABLE peer.metric ADD PRIMARY KEY (training_id, attempt, split, name)")
        )
        connection.execute(
            text(
                "CREATE TABLE peer.curve (training_id text, attempt integer, split text, name text, x_name text,"
                " y_name text, point integer, x double precision, y double precision,"
                " PRIMARY KEY (training_id, attempt, split, name, point))"
            )
        )
    points = frames["curve"].explode(["x", "y"], ignore_index=True).astype({"x": float, "y": float})
    points["point"] = points.groupby(["training_id", "attempt", "split", "name"]).cumcount()
    frames["curve"] = points
    start = time.perf_counter()
    for table, frame in frames.items():
        if table == "curve":
            sys.stdout.write(f"{time.perf_counter() - start}\n")
            start = time.perf_counter()
        if not frame.empty:
            frame.to_sql(table, engine, schema="peer", if_exists="append", index=False)
    sys.stdout.write(f"{time.perf_counter() - start}\n")


if __name__ == "__main__":
    main(sys.argv[1])
