"""What reading ``live_model`` costs once models have been activated for years."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

if TYPE_CHECKING:
    from conftest import Yard

MODELS, NIGHTS = 20, 300

VERSIONS = f"""
    INSERT INTO serving.model_version
        (portfolio, model, data_date, training_id, attempt, artifact, artifact_sha256, feature_space, num_features,
         threshold, lineage)
    SELECT 'demo', 'model_' || model, DATE '2026-01-01' + night, lpad(to_hex(model * 1000 + night), 16, '0'), 1,
           'bytes', repeat('a', 64), 'space', 10, 0.5, '{{}}'
    FROM generate_series(1, {NIGHTS}) AS night, generate_series(1, {MODELS}) AS model
    ORDER BY night, model
"""
ACTIVATIONS = """
    INSERT INTO serving.activation (version_id, portfolio, model, actor, reason)
    SELECT version_id, portfolio, model, 'ada', 'newer' FROM serving.model_version ORDER BY version_id
"""


@pytest.fixture
def years(yard: Yard) -> Yard:
    """Every model activated every night."""
    with yard.app.begin() as connection:
        connection.execute(text(VERSIONS.replace(":", "\\:")))
        connection.execute(text(ACTIVATIONS))
    with yard.app.connect() as connection:
        connection.exec_driver_sql("ANALYZE serving.activation, serving.model_version, serving.served_model")
        connection.commit()
    return yard


def scans(plan: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Each table that a plan reads, and how many rows of it."""
    if "Relation Name" in plan:
        yield plan["Relation Name"], plan["Actual Rows"] * plan["Actual Loops"]
    for part in plan.get("Plans", ()):
        yield from scans(part)


@pytest.mark.parametrize(("where", "models"), [("", MODELS), ("WHERE model = 'model_3'", 1)])
def test_reading_what_serves_reads_one_activation_of_each_model_and_not_the_whole_log(
    years: Yard, where: str, models: int
) -> None:
    newest = years.rows(f"SELECT model, data_date - DATE '2026-01-01' FROM serving.live_model {where}")
    assert {night for _, night in newest} == {NIGHTS}
    assert len(newest) == models
    query = f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM serving.live_model {where}"
    (told,) = years.rows(query)
    plan = told[0] if isinstance(told[0], list) else json.loads(told[0])
    read = dict(scans(plan[0]["Plan"]))
    assert read["activation"] == models
