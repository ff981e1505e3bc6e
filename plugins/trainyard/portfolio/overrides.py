"""A run's overrides over its models' settings → the models that the run trains; every mistake of them at once.

The overrides are read and checked as if they stood in the portfolio's file, by the same rules and in the same words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainyard.portfolio.finding import Findings
from trainyard.portfolio.load import merge, validated
from trainyard.portfolio.mistakes import Mistake, PortfolioError
from trainyard.portfolio.source import read_source
from trainyard.portfolio.values import Model, Portfolio

_WHOLE = ("defaults",)
# what the DAG is built from, once for all runs
_OF_THE_DAG = frozenset({"retries"})


def overridden(
    portfolio: Portfolio, *, models: Sequence[str], overrides: Mapping[str, Any]
) -> dict[str, Model]:
    """The named models with ``overrides`` merged over each one's settings.

    :param overrides: JSON values, by the names of a model's fields
    :raises PortfolioError: with every mistake; ``overrides`` stands for the file
    """
    if not overrides:
        return {name: portfolio.models[name] for name in models}
    source = read_source(json.dumps({"defaults": overrides}).encode())
    findings = Findings(Path("overrides"), source)
    values = {key: value for key, value in source.values["defaults"].items() if key not in _OF_THE_DAG}
    for field in sorted(_OF_THE_DAG & overrides.keys()):
        findings.add(
            (*_WHOLE, field), None, "is the DAG's, the same for every run", "change the portfolio's file"
        )
    if "name" in values:
        findings.unknown((*_WHOLE, "name"))
    merged: dict[str, Model] = {}
    for name in models:
        # what was not written stays unwritten, so that a default that depends on another field is taken anew
        written = portfolio.models[name].model_dump(exclude_unset=True)
        model, errors = validated(Model, {**merge(written, values), "name": name})
        findings.of_portfolio(
            [{**error, "loc": ("models", name, *error["loc"])} for error in errors], models=1
        )
        if model is not None:
            merged[name] = model
    if findings.mistakes:
        raise PortfolioError(tuple(dict.fromkeys(map(_of_a_run, findings.mistakes))))
    return merged


def _of_a_run(mistake: Mistake) -> Mistake:
    """There are no lines in a run's parameters, and what stands in them concerns all chosen models."""
    section = "every chosen model" if mistake.section == "defaults" else mistake.section
    return replace(mistake, line=0, section=section)
