"""docs/portfolios.md: its table of fields is the code's, and its examples are what they claim to be."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from trainyard.portfolio import load_portfolio
from trainyard.portfolio.fields import FieldEntry, field_entries
from trainyard.portfolio.schema import accepted

REPOSITORY = Path(__file__).parents[3]
DOCS = REPOSITORY / "docs" / "portfolios.md"
LEARNERS = REPOSITORY / "docs" / "learners.md"
BEGIN, END = "<!-- fields -->\n", "<!-- /fields -->\n"


def _row(entry: FieldEntry) -> str:
    if entry.required:
        default = "**required**"
    elif "default" in entry.schema:
        default = (
            f"`{json.dumps(entry.schema['default'])}`"
            if _is_plain(entry.schema["default"])
            else "each field's"
        )
    else:
        default = "see meaning" if entry.path == "defaults.feature_space" else "none"
    return f"| `{entry.path}` | {accepted(entry.schema)} | {default} | {entry.schema['description']} |\n"


def _is_plain(default: object) -> bool:
    return not isinstance(default, dict) or default in ({}, {"0": 0, "1": 1})


def _table(entries: Iterable[FieldEntry]) -> str:
    head = "| field | accepted | default | meaning |\n|---|---|---|---|\n"
    return head + "".join(map(_row, entries))


def _of(variant: str) -> list[FieldEntry]:
    """The fields of a learner or of a rule, or, for no variant, those that all models have."""
    entries = [entry for entry in field_entries() if entry.variant == variant]
    return [
        entry for entry in entries if not variant or entry.path.rpartition(".")[2] not in {"name", "rule"}
    ]


VARIANTS = sorted({entry.variant for entry in field_entries()} - {""})


@pytest.mark.parametrize("variant", ["", *VARIANTS])
def test_the_tables_of_fields_are_the_codes(variant):
    """UPDATE_GOLDEN=1 writes them anew."""
    docs = LEARNERS if variant else DOCS
    begin = f"<!-- fields {variant} -->\n" if variant else BEGIN
    text = docs.read_text(encoding="utf-8")
    before, rest = text.split(begin)
    table, after = rest.split(END, maxsplit=1)
    expected = _table(_of(variant))
    if os.environ.get("UPDATE_GOLDEN"):
        docs.write_text(f"{before}{begin}{expected}{END}{after}", encoding="utf-8")
        table = expected
    assert table == expected


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_first_example_is_a_whole_portfolio(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text(_blocks("yaml")[0], encoding="utf-8")
    models = load_portfolio(path).models
    assert {name: model.num_features for name, model in models.items()} == {"hotels": 240, "flights": 510}


@pytest.mark.parametrize("example", _blocks("yaml")[1:3])
def test_each_further_example_of_models_fits_the_first(tmp_path, example):
    path = tmp_path / "shop.yaml"
    path.write_text(_blocks("yaml")[0].partition("models:\n")[0] + example, encoding="utf-8")
    models = load_portfolio(path).models
    assert {model.cluster.core.count for model in models.values()} <= {4, 8}
    assert {model.cluster.core.instance_type for model in models.values()} == {"m7g.xlarge"}
    assert yaml.safe_load(example)["models"].keys() == models.keys()


def test_the_dag_file_it_shows_is_the_demos_but_for_its_words():
    (shown,) = _blocks("python")
    demo = (REPOSITORY / "dags" / "demo.py").read_text(encoding="utf-8")
    assert shown.partition("\n")[2] == demo.partition("\n")[2]
    assert "airflow" in shown.lower()
    assert "dag" in shown
