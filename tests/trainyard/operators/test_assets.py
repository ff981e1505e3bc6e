"""An asset event for each model that went live, and for no other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow.sdk import Asset, AssetAlias

from trainyard.operators.assets import model_asset, portfolio_alias, tell_activated
from trainyard.publishing import ModelOutcome, RunReport


@dataclass
class Events:
    """As Airflow's accessor of one alias."""

    added: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def add(self, asset: Asset, extra: dict[str, Any]) -> None:
        self.added.append((asset.name, extra))


def test_only_what_went_live_has_an_event() -> None:
    outcomes = tuple(
        ModelOutcome(status, status, number, None, "", live=status == "activated")  # type: ignore[arg-type]
        for number, status in enumerate(("activated", "held_back", "recorded", "failed", "measured"), start=1)
    )
    events = Events()
    accessors: dict[AssetAlias, Events] = {portfolio_alias("demo"): events}
    tell_activated({"outlet_events": accessors}, portfolio="demo", report=RunReport(outcomes))
    assert events.added == [
        ("trainyard.demo.activated", {"portfolio": "demo", "model": "activated", "version_id": 1})
    ]


def test_what_was_rolled_back_since_has_no_event_when_its_run_publishes_again() -> None:
    outcomes = (ModelOutcome("hotels", "activated", 2, None, "", live=False),)
    events = Events()
    accessors: dict[AssetAlias, Events] = {portfolio_alias("demo"): events}
    tell_activated({"outlet_events": accessors}, portfolio="demo", report=RunReport(outcomes))
    assert events.added == []


def test_another_dag_names_a_model_s_asset_by_its_portfolio_and_model() -> None:
    assert model_asset("demo", "hotels") == Asset("trainyard.demo.hotels")
