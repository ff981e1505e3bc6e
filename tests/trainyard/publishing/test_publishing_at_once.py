"""Several publishes at the same time, and a reader beside them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from threading import Barrier, Event
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import Yard

MODELS = ("cars", "flights", "hotels")
TODAY = date(2026, 11, 22)


def test_runs_published_at_once_end_as_if_one_came_after_the_other(yard: Yard) -> None:
    runs = []
    for number in range(8):
        # two runs for each of four dates
        day = TODAY - timedelta(days=number % 4)
        runs.append([yard.succeeded(model, run=f"run-{number}", data_date=day) for model in MODELS])
    together, stop, mixed = Barrier(8), Event(), []

    def publish(run: list[Any]) -> None:
        together.wait()
        yard.publish(*run)

    def read() -> None:
        while not stop.is_set():
            seen = yard.rows("SELECT lineage->>'run_id' FROM serving.live_model")
            if len(set(seen)) > 1 or len(seen) not in (0, len(MODELS)):
                mixed.append(seen)

    with ThreadPoolExecutor(9) as threads:
        reader = threads.submit(read)
        list(threads.map(publish, runs))
        stop.set()
        reader.result()
    assert mixed == [], "a reader saw the models of two runs"
    for model in MODELS:
        assert_serial(yard, model)
    assert yard.rows("SELECT count(*), count(version_id) FROM analytics.training") == [(24, 24)]


def test_one_run_published_twice_at_once_is_published_once(yard: Yard) -> None:
    run = [yard.succeeded(model) for model in MODELS]
    together = Barrier(6)

    def publish(_: int) -> set[tuple[str, int | None]]:
        together.wait()
        return {(outcome.status, outcome.version_id) for outcome in yard.publish(*run).outcomes}

    with ThreadPoolExecutor(6) as threads:
        reports = list(threads.map(publish, range(6)))
    assert reports == [{("activated", 1), ("activated", 2), ("activated", 3)}] * 6
    assert yard.rows("SELECT count(*) FROM serving.activation") == [(3,)]
    assert yard.rows("SELECT count(*) FROM analytics.training") == [(3,)]
    assert yard.rows("SELECT count(*) FROM analytics.metric") == [(24,)]


def assert_serial(yard: Yard, model: str) -> None:
    """Replay the versions in the order of their ids: each activation must be what that order calls for."""
    versions = yard.rows(
        "SELECT version_id, data_date FROM serving.model_version WHERE model = :model ORDER BY 1", model=model
    )
    expected: list[tuple[int, int | None]] = []
    serves: tuple[int, date] | None = None
    for version, day in versions:
        if serves is None or day >= serves[1]:
            expected.append((version, serves and serves[0]))
            serves = version, day
    log = (
        "SELECT version_id, replaced_version_id FROM serving.activation WHERE model = :model "
        "ORDER BY activation_id"
    )
    assert yard.rows(log, model=model) == expected
