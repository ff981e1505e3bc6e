"""Which run the demo triggers, so that the scheduler adds none of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trainyard.laptop.demo_runs import settle, trigger, unpaused_mark
from trainyard.laptop.settings import Settings, read_settings

SLOT = "2026-11-23T02:00:00Z"
DUE = {"is_paused": True, "next_dagrun_logical_date": SLOT, "next_dagrun_run_after": "2020-01-01T00:00:00Z"}


class Airflow:
    """What the api-server knows of runs, and the calls it got."""

    def __init__(self, runs: list[dict[str, Any]]) -> None:
        self.runs = runs
        self.calls: list[tuple[Any, ...]] = []

    def get(self, *path: str, **query: str | int) -> dict[str, Any]:
        slot = query.get("logical_date_gte")
        return {"dag_runs": [run for run in self.runs if slot is None or run["logical_date"] == slot]}

    def post(self, *path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(("trigger", body["logical_date"]))
        return body

    def patch(self, *path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((path[-1], body))
        return body


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "run").mkdir()
    return read_settings({"TRAINYARD_STATE": str(tmp_path)})


def _triggered(settings: Settings, dag: dict[str, Any], runs: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    airflow = Airflow(runs)
    trigger(airflow, settings, dag)  # type: ignore[arg-type]
    return airflow.calls


def test_the_run_takes_the_slot_that_is_due_before_the_dag_is_unpaused(settings: Settings) -> None:
    assert _triggered(settings, DUE, []) == [("trigger", SLOT), ("demo", {"is_paused": False})]


def test_a_slot_that_has_its_run_is_not_taken_again(settings: Settings) -> None:
    taken = [{"logical_date": SLOT}]
    assert _triggered(settings, DUE, taken) == [("trigger", None), ("demo", {"is_paused": False})]


def test_a_slot_that_is_not_due_is_left_to_the_scheduler(settings: Settings) -> None:
    later = {**DUE, "next_dagrun_run_after": "2999-01-01T00:00:00Z"}
    assert _triggered(settings, later, [])[0] == ("trigger", None)


def test_a_dag_that_its_owner_has_unpaused_stays_as_it_is(settings: Settings) -> None:
    assert [call[0] for call in _triggered(settings, {**DUE, "is_paused": False}, [])] == ["trigger"]
    assert not unpaused_mark(settings).exists()


def test_settling_pauses_what_the_demo_unpaused_and_fails_only_its_own_unfinished_runs(
    settings: Settings,
) -> None:
    unpaused_mark(settings).touch()
    runs = [
        {"dag_run_id": "demo-1", "state": "running"},
        {"dag_run_id": "demo-0", "state": "success"},
        {"dag_run_id": "manual__1", "state": "running"},
    ]
    airflow = Airflow(runs)
    assert settle(airflow, settings) == ["demo-1"]  # type: ignore[arg-type]
    assert airflow.calls == [("demo", {"is_paused": True}), ("demo-1", {"state": "failed"})]
    assert not unpaused_mark(settings).exists()
