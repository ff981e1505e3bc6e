"""What other DAGs can be scheduled on: an asset for each model, with an event each time a version of it goes live.

Airflow keeps the events of a task that succeeded only. Which models a run activates is known when it has published, so
the task's outlet is an alias for the portfolio, by which events reach the models' own assets.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, AssetAlias

from trainyard.publishing import RunReport


def portfolio_alias(portfolio: str) -> AssetAlias:
    """Any model of the portfolio went live."""
    return AssetAlias(f"trainyard.{portfolio}")


def model_asset(portfolio: str, model: str) -> Asset:
    """A version of this model went live."""
    return Asset(f"trainyard.{portfolio}.{model}")


def tell_activated(context: Any, *, portfolio: str, report: RunReport) -> None:
    """One event for each model that the run's publishing activated; none where something else serves since.

    Publishing may be run again after a person rolled back: whoever waits for what goes live is not told of the old one.
    """
    events = context["outlet_events"][portfolio_alias(portfolio)]
    for outcome in report.outcomes:
        if outcome.status == "activated" and outcome.live:
            extra = {"portfolio": portfolio, "model": outcome.model, "version_id": outcome.version_id}
            events.add(model_asset(portfolio, outcome.model), extra=extra)
