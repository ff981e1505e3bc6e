"""docs/serving.md: its example runs as it stands, and its table of columns is the view's."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Yard

DOCS = Path(__file__).parents[3] / "docs" / "serving.md"
# what applications rely on: lines are added at the end, and no other line of this changes
SHAPE_1 = [
    ("portfolio", "text"),
    ("model", "text"),
    ("version_id", "bigint"),
    ("data_date", "date"),
    ("training_id", "text"),
    ("attempt", "integer"),
    ("artifact", "bytea"),
    ("artifact_uri", "text"),
    ("artifact_sha256", "text"),
    ("feature_space", "text"),
    ("num_features", "integer"),
    ("threshold", "double precision"),
    ("lineage", "jsonb"),
    ("published_at", "timestamp with time zone"),
    ("activation_id", "bigint"),
    ("activated_at", "timestamp with time zone"),
    ("actor", "text"),
    ("reason", "text"),
    ("replaced_version_id", "bigint"),
    ("score_kind", "text"),
]


def columns(yard: Yard) -> list[tuple[str, str]]:
    query = (
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = CAST('serving.live_model' AS regclass) AND attnum > 0 ORDER BY attnum"
    )
    return [(name, type_) for name, type_ in yard.rows(query)]


def test_the_view_has_the_shape_that_applications_rely_on(yard: Yard) -> None:
    assert columns(yard)[: len(SHAPE_1)] == SHAPE_1


def test_the_table_of_columns_is_the_views(yard: Yard) -> None:
    section = DOCS.read_text(encoding="utf-8").split("## The view's shape")[1].split("\n## ")[0]
    first_cells = re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
    told = [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)]
    assert told == [name for name, _ in columns(yard)]


def test_the_example_scores_with_what_serves(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    yard.publish(yard.succeeded("hotels"))
    (code,) = re.findall(
        r"```python\n(import psycopg.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    url = yard.app.url.set(drivername="postgresql").render_as_string(hide_password=False)
    exec(compile(code, str(DOCS), "exec"), {"DATABASE_URL": url})
    # intercept -2.125, coefficients 0.5 and -1.25 of features 1 and 8, 3e-05 of feature 240
    scores = [1 / (1 + math.exp(-margin)) for margin in (-2.125 + 0.5 - 1.25 * 0.5, -2.125 + 3e-05)]
    assert capsys.readouterr().out.splitlines() == [f"1 {score:.4f} {score:.4f} False" for score in scores]
