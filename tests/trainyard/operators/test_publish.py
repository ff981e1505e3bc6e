"""``publish``: what a run tells of the models that it was asked for, and keeps of those that it left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from trainyard import databases
from trainyard.operators import Publish
from trainyard.operators.assets import portfolio_alias

if TYPE_CHECKING:
    from conftest import Shop


def rows(shop: Shop, query: str) -> list[tuple[Any, ...]]:
    with shop.app.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query), {"run_id": shop.run_id})]


def test_a_model_that_was_left_out_is_known_to_analytics_and_counts_neither_way(shop: Shop) -> None:
    databases.upgrade_analytics_db(shop.app)
    hotels = shop.portfolio.models["hotels"]
    # hotels is asked for and never came to an attempt; a run of all models would have trained flights as well
    models = {"flights": hotels.model_copy(update={"name": "flights"}), "hotels": hotels}
    portfolio = shop.portfolio.model_copy(update={"models": models})
    # nothing goes live, so that nobody is told
    context = {**shop.context(), "outlet_events": {portfolio_alias("shop"): None}}
    report = Publish(task_id="publish", portfolio=portfolio).execute(context)
    assert [(each["model"], each["status"]) for each in report["outcomes"]] == [("hotels", "failed")]
    kept = "FROM analytics.training WHERE run_id = :run_id ORDER BY model"
    assert rows(shop, f"SELECT model, outcome, failure_code {kept}") == [
        ("flights", "skipped", "left_out"),
        ("hotels", "failed", "no_manifest"),
    ]
    assert rows(shop, "SELECT model FROM analytics.failures WHERE run_id = :run_id") == [("hotels",)]
    assert rows(shop, "SELECT model, last_outcome FROM analytics.freshness WHERE portfolio = 'shop'") == [
        ("hotels", "failed")
    ]
