"""``make demo`` exits 0 only where every model of its run was published."""

from __future__ import annotations

import io
from datetime import date

import pytest
from rich.console import Console

from trainyard.laptop.demo import _Outcome
from trainyard.laptop.table import result_table
from trainyard.publishing import TrainingSummary
from trainyard.training import TrainingId

IDS = {"flights": TrainingId("a" * 16), "hotels": TrainingId("b" * 16)}


def summary(model: str, *, version_id: int | None) -> TrainingSummary:
    failed = version_id is None
    return TrainingSummary(
        portfolio="demo",
        model=model,
        data_date=date(2026, 11, 22),
        training_id=IDS[model],
        attempt=1,
        outcome="failed" if failed else "succeeded",
        failure_code="malformed_input" if failed else None,
        failure_sentence="line 2 is none" if failed else None,
        published_as=None if failed else "activated",
        version_id=version_id,
        live=not failed,
        rows=None if failed else 150_000,
        test_rows=None if failed else 40_000,
        auc=None if failed else 0.8352,
        log_loss=None if failed else 0.2336,
        precision=None if failed else 0.3606,
        recall=None if failed else 0.4772,
        threshold=None if failed else 0.2,
        cluster_id="j-2KWLQU2G7RMUI",
        seconds=71.0,
    )


@pytest.mark.parametrize(
    ("state", "versions", "good"),
    [
        ("success", {"flights": 1, "hotels": 2}, True),
        ("success", {"flights": 1, "hotels": None}, False),
        ("success", {"flights": 1}, False),
        ("success", {}, False),
        ("failed", {"flights": 1, "hotels": 2}, False),
    ],
)
def test_a_demo_is_good_only_where_the_run_succeeded_and_every_model_has_a_version(
    state: str, versions: dict[str, int | None], good: bool
) -> None:
    summaries = [summary(model, version_id=version_id) for model, version_id in versions.items()]
    assert _Outcome(state, IDS, [], summaries).good is good


def test_the_table_has_a_row_for_each_model_and_blanks_for_what_a_failed_one_lacks() -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(result_table([summary("flights", version_id=2), summary("hotels", version_id=None)]))
    flights, hotels = (
        line for line in console.export_text().splitlines() if line.lstrip().startswith(("flights", "hotels"))
    )
    for figure in (
        "2 (live)",
        "2026-11-22",
        "150,000",
        "0.8352",
        "0.2336",
        "0.3606",
        "0.4772",
        "0.2000",
        "71",
    ):
        assert figure in flights
    assert "2026-11-22" in hotels
    assert "live" not in hotels
