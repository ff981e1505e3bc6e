"""Readers of ``live_model`` while models are switched again and again: what they see, and how long it takes.

A reader that sees models of two runs has seen half a switch. A wait for a lock is what PostgreSQL itself logs of one
that lasts longer than 50 ms.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import psycopg

from benchmarks.publish.run_data import DAY, trainings
from trainyard.databases import engine
from trainyard.publishing.application import Candidate, publish_versions
from trainyard.publishing.artifact import Artifact
from trainyard.publishing.formats import Lineage, Request
from trainyard.publishing.spool import Kept, Spool
from trainyard.publishing.training_folder import TrainedModel
from trainyard.training import S3Uri, Sha256

READERS = 4
LOCK_WAIT_MS = 50
_PATIENCE_SECONDS = 240
_ALL = "SELECT count(*), count(DISTINCT lineage->>'run_id') FROM serving.live_model"
_ONE = "SELECT artifact FROM serving.live_model WHERE portfolio = 'bench' AND model = %s"


@dataclass(frozen=True)
class Reading:
    """What one reader found.

    :param mixed: reads that saw the models of two runs, or not all models
    """

    reads: int
    mixed: int
    slowest_ms: float


@dataclass(frozen=True)
class Switching:
    """All readers together.

    :param lock_waits: waits of readers for a lock of more than 50 ms
    """

    switches: int
    models: int
    reads: int
    mixed: int
    lock_waits: int
    slowest_read_ms: float
    slowest_switch_ms: float


def switch_under_readers(app_url: str, log: Path, *, switches: int, models: int) -> Switching:
    """Switch all models so many times while readers read."""
    stop, reading = multiprocessing.Event(), multiprocessing.Barrier(READERS + 1)
    app = engine(app_url)
    with app.begin() as connection:
        database = connection.exec_driver_sql("SELECT current_database()").scalar_one()
        for setting in (f"deadlock_timeout = '{LOCK_WAIT_MS}ms'", "log_lock_waits = on"):
            connection.exec_driver_sql(f'ALTER DATABASE "{database}" SET {setting}')
    _switch(app_url, [0], models)
    start = log.stat().st_size
    with multiprocessing.Pool(READERS, initializer=_begin, initargs=(stop, reading)) as pool:
        pending = pool.starmap_async(_read, [(app_url, models, number) for number in range(READERS)])
        reading.wait(_PATIENCE_SECONDS)
        slowest = _switch(app_url, range(1, switches + 1), models)
        stop.set()
        readings = pending.get(_PATIENCE_SECONDS)
    app.dispose()
    with log.open("rb") as file:
        file.seek(start)
        waits = file.read().decode().count("still waiting for")
    return Switching(
        switches=switches,
        models=models,
        reads=sum(reading.reads for reading in readings),
        mixed=sum(reading.mixed for reading in readings),
        lock_waits=waits,
        slowest_read_ms=max(reading.slowest_ms for reading in readings),
        slowest_switch_ms=slowest,
    )


def _switch(app_url: str, numbers: Sequence[int], models: int) -> float:
    """Publish the runs of these numbers, each of a day of its own; the slowest one's milliseconds."""
    app, slowest = engine(app_url), 0.0
    with Spool() as spool:
        artifact = spool.keep(b"\x1f\x8b" + bytes(2000))
        for number in numbers:
            run = trainings(models, run=f"switch-{number}", day=DAY + timedelta(days=number))
            candidates = [Candidate(training, 1, _trained(training.run_id, artifact)) for training in run]
            start = time.perf_counter()
            publish_versions(app, portfolio="bench", candidates=candidates, actor="bench", spool=spool)
            slowest = max(slowest, 1000 * (time.perf_counter() - start))
    app.dispose()
    return slowest


def _trained(run_id: str, artifact: Kept) -> TrainedModel:
    return TrainedModel(
        request=Request(num_features=10, feature_space="bench", lineage=Lineage()),
        artifact=Artifact(
            kind="logistic_regression",
            score_kind="probability",
            num_features=10,
            feature_space="bench",
            threshold=0.5,
            lineage={"run_id": run_id},
        ),
        artifact_sha256=Sha256("a" * 64),
        artifact_uri=S3Uri("s3://bench/artifact.json"),
        kept_artifact=artifact,
        kept_metrics=artifact,
        kept_curves=artifact,
    )


_stop: Event
_reading: Barrier


def _begin(stop: Event, reading: Barrier) -> None:
    global _stop, _reading
    _stop, _reading = stop, reading


def _read(app_url: str, models: int, number: int) -> Reading:
    """Read all models, then one with its artifact, until it is enough."""
    reads = mixed = 0
    slowest = 0.0
    with psycopg.connect(app_url, autocommit=True) as connection:
        while not _stop.is_set():
            start = time.perf_counter()
            row = connection.execute(_ALL).fetchone()
            middle = time.perf_counter()
            connection.execute(_ONE, (f"model_{(reads + number) % models:04}",)).fetchall()
            slowest = max(slowest, middle - start, time.perf_counter() - middle)
            reads += 2
            mixed += row != (models, 1)
            if reads == 2:
                # nothing is switched before every reader has begun
                _reading.wait(_PATIENCE_SECONDS)
    return Reading(reads, mixed, 1000 * slowest)
