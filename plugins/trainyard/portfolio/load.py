"""A portfolio's file → :class:`Portfolio`: layers merged, everything validated at once.

A model's values are the portfolio's ``inputs``, below ``defaults``, below the model's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trainyard.portfolio.construct import YamlSyntaxError
from trainyard.portfolio.finding import Findings
from trainyard.portfolio.mistakes import Mistake, PortfolioError
from trainyard.portfolio.source import Source, read_source
from trainyard.portfolio.values import Model, Portfolio
from trainyard.portfolio.variants import BY_FIELD

# one value though it is written as a mapping: labels of two files mixed would let a wrong label pass
_REPLACED_AS_A_WHOLE = frozenset({"label_mapping"})


def load_portfolio(path: Path) -> Portfolio:
    """The portfolio that ``path`` holds.

    :raises PortfolioError: with every mistake of the file, in its order
    """
    content, source = _read(path)
    findings = Findings(path, source)
    portfolio = _portfolio(path, source.values, findings)
    if portfolio is None or findings.mistakes:
        raise PortfolioError(findings.in_order())
    return portfolio.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})


@dataclass(frozen=True)
class PortfolioOfOne:
    """A portfolio as a task of one model needs it.

    :param portfolio: with that model only, and without what is said of all of them
    :param model_count: of all models in the file
    """

    portfolio: Portfolio
    model_count: int


def load_one_model(path: Path, name: str) -> PortfolioOfOne | None:
    """One model of the portfolio that ``path`` holds, for a fraction of the time of a thousand; none if it has none.

    :raises PortfolioError: with the mistakes that concern that model
    """
    content, source = _read(path, only_model=name)
    models = source.values.get("models") if isinstance(source.values, dict) else None
    if not isinstance(models, dict) or name not in models:
        return None
    # how many models there must be cannot be held against one
    values = {key: value for key, value in source.values.items() if key != "min_fresh"}
    findings = Findings(path, source)
    portfolio = _portfolio(path, {**values, "models": {name: models[name]}}, findings)
    if portfolio is None or findings.mistakes:
        raise PortfolioError(findings.in_order())
    sha256 = hashlib.sha256(content).hexdigest()
    return PortfolioOfOne(portfolio.model_copy(update={"sha256": sha256}), len(models))


def merge(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """``upper`` over ``lower``: a mapping is merged, unless it is of another variant; anything else is replaced."""
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping) and _is_merged(key, below, value):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def _is_merged(key: str, below: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    """Whether two layers' mappings are one: another learner's parameters are none of this one's."""
    variants = BY_FIELD.get(key)
    if variants is not None and variants.by in value and variants.of(value) != variants.of(below):
        return False
    return key not in _REPLACED_AS_A_WHOLE


def _read(path: Path, *, only_model: str | None = None) -> tuple[bytes, Source]:
    try:
        content = path.read_bytes()
        return content, read_source(content, only_model=only_model)
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise PortfolioError((Mistake(path, 0, "portfolio", "", None, problem, "a YAML file"),)) from error
    except YamlSyntaxError as error:
        found = error.finding
        mistake = Mistake(path, found.line, "portfolio", "", None, found.problem, found.accepted)
        raise PortfolioError((mistake,)) from error


def _portfolio(path: Path, values: Any, findings: Findings) -> Portfolio | None:
    """The portfolio, as far as it can be made; what is wrong goes to ``findings``."""
    if not isinstance(values, dict):
        findings.add(
            (),
            None,
            "is empty" if values is None else "is no mapping",
            "fields such as portfolio: and models:",
        )
        return None
    top = {key: value for key, value in values.items() if key not in {"inputs", "defaults", "models"}}
    _refuse_computed(values, findings)
    if isinstance(top.get("portfolio"), str) and top["portfolio"] != path.stem:
        findings.refused(("portfolio",), top["portfolio"], f"the file's stem, {path.stem}")
        top["portfolio"] = path.stem
    inputs = _layer(values, "inputs", findings)
    shared = merge({"inputs": inputs} if inputs else {}, _layer(values, "defaults", findings))
    # alone as well: a mistake that every model happens to override still waits for the next one
    _, errors = validated(Model, {**shared, "name": "defaults"})
    findings.of_defaults(errors)
    models = values.get("models")
    if isinstance(models, dict):
        top["models"] = {name: _model_values(shared, models[name], name) for name in sorted(models)}
    elif "models" in values:
        top["models"] = {} if models is None else models
    portfolio, errors = validated(Portfolio, top)
    findings.of_portfolio(errors, models=len(models) if isinstance(models, dict) else 0)
    return portfolio


def _refuse_computed(values: Mapping[str, Any], findings: Findings) -> None:
    """The values that are computed are no fields of the file."""
    if "sha256" in values:
        findings.unknown(("sha256",))
    defaults, models = values.get("defaults"), values.get("models")
    if isinstance(defaults, dict) and "name" in defaults:
        findings.unknown(("defaults", "name"))
    for name, model in models.items() if isinstance(models, dict) else ():
        if isinstance(model, dict) and "name" in model:
            findings.unknown(("models", name, "name"))


def _layer(values: Mapping[str, Any], field: str, findings: Findings) -> Mapping[str, Any]:
    layer = values.get(field)
    if layer is not None and not isinstance(layer, dict):
        findings.refused((field,), layer)
        return {}
    return layer or {}


def _model_values(shared: Mapping[str, Any], own: Any, name: str) -> Any:
    if own is not None and not isinstance(own, dict):
        return own
    return {**merge(shared, own or {}), "name": name}


_ValueT = TypeVar("_ValueT", bound=BaseModel)


def validated(kind: type[_ValueT], values: Mapping[str, Any]) -> tuple[_ValueT | None, list[ErrorDetails]]:
    """The value, or why there is none."""
    try:
        return kind.model_validate(values), []
    except ValidationError as error:
        return None, error.errors(include_url=False)
