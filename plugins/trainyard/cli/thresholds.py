"""``trainyard threshold``: what another rule would choose for what serves, without training again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from trainyard.cli.ending import NOT_POSSIBLE, WRONG, end
from trainyard.cli.live import OptionalModel, thresholds_of
from trainyard.cli.serving import InPortfolio
from trainyard.cli.showing import AsJson


def threshold(
    model: OptionalModel = None,
    *,
    rule: Annotated[str, typer.Option(help="A rule as in a portfolio, such as highest_recall.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the rule, such as min_precision=0.4.")
    ] = None,
    portfolio: InPortfolio = None,
    file: Annotated[Path | None, typer.Option(help="A thresholds.json.")] = None,
    as_json: AsJson = False,
) -> None:
    """Choose the threshold again under another rule, and show what it comes to on the rows it is chosen on.

    Exits with 1 where nothing satisfies the rule; what is shown then is the best that is possible.
    """
    written = dict(map(_parameter, settings or ()))
    checked = _checked({"rule": rule, **written})
    content = thresholds_of(model, portfolio=portfolio, file=file)
    _show(content, checked, written=set(written), as_json=as_json)


def _parameter(setting: str) -> tuple[str, float]:
    name, _, number = setting.partition("=")
    try:
        return name.strip(), float(number)
    except ValueError:
        end(f"--set {setting}: expected a name and a number such as min_precision=0.4", NOT_POSSIBLE)


def _checked(written: dict[str, Any]) -> dict[str, Any]:
    """The rule with its defaults, found to be one that a portfolio may have."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

    from trainyard.portfolio import Threshold  # noqa: PLC0415

    try:
        rule: dict[str, Any] = TypeAdapter(Threshold).validate_python(written).model_dump()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if len(first["loc"]) < 2:
            accepted = first.get("ctx", {}).get("expected_tags", "").replace("'", "")
            end(f"--rule {written['rule']}: no such rule; there are {accepted}", NOT_POSSIBLE)
        messages = {"missing": "is missing", "extra_forbidden": f"is no part of the rule {written['rule']}"}
        end(f"--set {first['loc'][-1]}=…: {messages.get(first['type'], first['msg'])}", NOT_POSSIBLE)
    return rule


def _show(content: bytes, rule: dict[str, Any], *, written: set[str], as_json: bool) -> None:
    from trainyard.scoring import ArtifactError  # noqa: PLC0415
    from trainyard.scoring.thresholds import choose_again, read_thresholds  # noqa: PLC0415

    try:
        if rule["rule"] == "fixed":
            rule = _on_its_scale(rule, known=read_thresholds(content)[1].known, written=written)
        choice = choose_again(content, rule)
    except ArtifactError as error:
        end(str(error), WRONG)
    if as_json:
        found = {"threshold": choice.threshold, "feasible": choice.feasible, "sentence": choice.sentence}
        typer.echo(json.dumps({**found, "achieved": choice.achieved}, indent=2, sort_keys=True))
    else:
        typer.echo(f"threshold {choice.threshold!r}")
        for name, number in choice.achieved.items():
            typer.echo(f"{name.replace('_', ' ')} {number:.6g}")
    if not choice.feasible:
        end(f"nothing satisfies the rule: {choice.sentence}", WRONG)


def _on_its_scale(rule: dict[str, Any], *, known: bool, written: set[str]) -> dict[str, Any]:
    """A fixed threshold is a probability where there are any, else a margin."""
    right, wrong = ("value", "margin") if known else ("margin", "value")
    if wrong in written and right not in written:
        end(f"--set {wrong}=…: give {right}, since this model's scores {_SCORES[right]}", NOT_POSSIBLE)
    return {"rule": "fixed", "value": rule[right]}


_SCORES = {"value": "become probabilities", "margin": "are margins"}
