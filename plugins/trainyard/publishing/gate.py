"""Whether a trained model may serve, by what was measured on its test rows: values in, findings and a verdict out.

Nothing is read here, and what serves at the switch is for ``deciding`` to look at. docs/gate.md has the rules for
people, and how the default margin was chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from trainyard.portfolio import Gate
from trainyard.publishing.deciding import INCONCLUSIVE, Verdict
from trainyard.publishing.formats import Comparison, Difference, Metrics, Request

_CODES = {
    "bounds": "out_of_bounds",
    "champion": "worse_than_champion",
    "best_recent": "worse_than_best_recent",
    "positive_rate": "positive_rate_moved",
    "threshold": "threshold_infeasible",
    "warnings": "blocking_warning",
}
_LIMITS = {"min": "at least", "max": "at most"}

Result = Literal["passed", "failed", "inconclusive"]

# what a comparison is made against, by its name in request.json and metrics.json
AGAINST = {"champion": "the champion", "best_recent": "the best recent one"}


@dataclass(frozen=True)
class Finding:
    """How one rule came out.

    :param rule: ``bounds.<metric>``, ``champion.margin``, ``best_recent.margin``, ``positive_rate``, ``evidence``,
        ``threshold``, ``warnings``
    :param figures: what was compared, by name; shares, not percent
    :param sentence: for a person
    """

    rule: str
    result: Result
    sentence: str
    figures: Mapping[str, float] = field(default_factory=dict)


def weigh(gate: Gate, *, metrics: Metrics, request: Request) -> tuple[Finding, ...]:
    """How each rule of the gate came out, for one trained model.

    A rule that has nothing to compare with, as for the first version of a feature space, does not come out at all.
    Where there are too few test rows, no rule about what was measured on them fails: it is inconclusive. That there are
    too few is a finding even where no other rule looks at them: whatever it would replace may be better.
    """
    measured = [*_bounds(gate, metrics), *_margins(gate, metrics, request)]
    measured += _positive_rate(gate, metrics, request)
    evidence = _evidence(gate, metrics)
    if evidence.result == "inconclusive":
        measured = [_doubted(finding) for finding in measured]
    return (*measured, evidence, *_threshold(metrics), *_warnings(gate, metrics))


def judge(gate: Gate, *, metrics: Metrics, request: Request) -> Verdict:
    """What follows for one trained model."""
    findings = weigh(gate, metrics=metrics, request=request)
    report = {"rules": [asdict(finding) for finding in findings], "compared": _compared(metrics, request)}
    served = request.serving if request.tells_what_served else request.champion
    return replace(
        verdict(gate, findings),
        report=report,
        launch_known=request.tells_what_served or gate.compares,
        served_at_launch=None if served is None else served.version_id,
    )


def verdict(gate: Gate, findings: Sequence[Finding]) -> Verdict:
    """What follows from the findings: a failure counts more than a doubt, and of a doubt the gate says what follows."""
    failed = [finding for finding in findings if finding.result == "failed"]
    doubtful = [finding for finding in findings if finding.result == "inconclusive"]
    if failed:
        code = _CODES[failed[0].rule.partition(".")[0]]
        return Verdict(passes=False, code=code, sentence=_sentences(failed))
    if not doubtful:
        return Verdict(passes=True, code="passed", sentence="every rule of the gate holds")
    sentence = f"inconclusive: {_sentences(doubtful)}"
    if gate.when_inconclusive == "activate":
        note = f"{sentence}; the gate activates even so"
        return Verdict(passes=True, code=INCONCLUSIVE, sentence=sentence, notes=(note,))
    # nothing but the number of rows was looked at
    first = {finding.rule for finding in findings} <= {"evidence", "threshold", "warnings"}
    return Verdict(passes=False, code=INCONCLUSIVE, sentence=sentence, passes_as_first=first)


def _compared(metrics: Metrics, request: Request) -> dict[str, Any]:
    """With which versions, and both log losses on the same rows, where they were measured."""
    compared = {}
    for name in AGAINST:
        asked = getattr(request, name)
        if asked is not None:
            old, excess = _log_loss(_made(name, metrics, request))
            new = None if old is None or excess is None else old + excess.value
            compared[name] = {"version_id": asked.version_id, "log_loss": new, "old_log_loss": old}
    return compared


def _made(name: str, metrics: Metrics, request: Request) -> Comparison | None:
    """The comparison with the version that was asked for; one with another version counts for nothing."""
    made, asked = metrics.comparisons.by_name().get(name), getattr(request, name)
    return made if made is not None and asked is not None and made.version_id == asked.version_id else None


def _log_loss(comparison: Comparison | None) -> tuple[float | None, Difference | None]:
    """The old version's, and by how much the new model's exceeds it."""
    if comparison is None:
        return None, None
    return comparison.metrics.get("log_loss"), comparison.differences.get("log_loss")


def _sentences(findings: Sequence[Finding]) -> str:
    return "; ".join(finding.sentence for finding in findings)


def _doubted(finding: Finding) -> Finding:
    return replace(finding, result="inconclusive") if finding.result == "failed" else finding


def _bounds(gate: Gate, metrics: Metrics) -> Iterator[Finding]:
    on_test = metrics.metrics.get("test", {})
    for name, bound in sorted(gate.bounds.items()):
        limits = {key: limit for key, limit in (("min", bound.min), ("max", bound.max)) if limit is not None}
        wanted = " and ".join(f"{_LIMITS[key]} {limit:g}" for key, limit in limits.items())
        value = on_test.get(name)
        if value is None:
            yield Finding(f"bounds.{name}", "failed", f"{name} is undefined; {wanted} is wanted", limits)
            continue
        holds = limits.get("min", value) <= value <= limits.get("max", value)
        yield Finding(
            f"bounds.{name}",
            "passed" if holds else "failed",
            f"{name} is {value:.6g}; {wanted} is wanted",
            {"value": value, **limits},
        )


def _margins(gate: Gate, metrics: Metrics, request: Request) -> Iterator[Finding]:
    if gate.margin is None:
        return
    for name in AGAINST:
        asked = getattr(request, name)
        if asked is not None:
            made = _made(name, metrics, request)
            yield _margin(name, gate.margin, made, version_id=asked.version_id)


def _margin(name: str, margin: float, comparison: Comparison | None, *, version_id: int) -> Finding:
    """Non-inferiority: the upper bound of the interval of the log loss's excess stays below the margin.

    Both are shares of the old version's log loss on the same rows. That one is taken as known: its own error would
    multiply an excess of about a percent, and so change the bound by a percent of itself.
    """
    rule, whose = f"{name}.margin", f"version {version_id}, {AGAINST[name]}"
    old, excess = _log_loss(comparison)
    if excess is None or excess.high is None or not old:
        sentence = f"the log loss could not be compared with that of {whose}"
        return Finding(rule, "inconclusive", sentence, {"margin": margin})
    share, bound = excess.value / old, excess.high / old
    figures = {"log_loss": old + excess.value, "old_log_loss": old, "excess": share, "upper_bound": bound}
    figures |= {"margin": margin} | ({} if excess.level is None else {"level": excess.level})
    sentence = (
        f"the log loss is {_beside(share)} that of {whose} on the same rows, and with its error {_beside(bound)}; "
        f"less than {_beside(margin)} is wanted"
    )
    return Finding(rule, "passed" if bound < margin else "failed", sentence, figures)


def _beside(share: float) -> str:
    return f"{abs(100 * share):.3g}% {'below' if share < 0 else 'above'}"


def _positive_rate(gate: Gate, metrics: Metrics, request: Request) -> Iterator[Finding]:
    if gate.max_positive_rate_change is None or request.champion is None:
        return
    whose, limit = f"version {request.champion.version_id}, the champion", gate.max_positive_rate_change
    comparison = _made("champion", metrics, request)
    old = None if comparison is None else comparison.metrics.get("positive_rate")
    new = metrics.metrics.get("test", {}).get("positive_rate")
    if old is None or new is None:
        sentence = f"the share of rows decided yes could not be compared with that of {whose}"
        yield Finding("positive_rate", "inconclusive", sentence, {"max_change": limit})
        return
    # no share of nothing: whoever never said yes may only go on so
    change = (new - old) / old if old else (0.0 if new == old else float("inf"))
    figures = {"value": new, "old_value": old, "max_change": limit} | ({"change": change} if old else {})
    sentence = (
        f"yes is decided for {new:.4g} of the rows, and for {old:.4g} by {whose}; "
        f"a change of at most {100 * limit:.3g}% is wanted"
    )
    yield Finding("positive_rate", "passed" if abs(change) <= limit else "failed", sentence, figures)


def _evidence(gate: Gate, metrics: Metrics) -> Finding:
    on_test = metrics.metrics.get("test", {})
    counts = (
        ("rows", "test rows", on_test.get("rows", 0), gate.min_rows),
        ("positives", "positive test rows", on_test.get("positives", 0), gate.min_positives),
    )
    figures: dict[str, float] = {}
    for name, _, found, wanted in counts:
        figures |= {name: found, f"min_{name}": wanted}
    lacking = [
        f"there are {found:,.0f} {words}; {wanted:,} are wanted"
        for _, words, found, wanted in counts
        if found < wanted
    ]
    enough = f"there are {counts[0][2]:,.0f} test rows, {counts[1][2]:,.0f} of them positive"
    return Finding("evidence", "inconclusive" if lacking else "passed", "; ".join(lacking) or enough, figures)


def _threshold(metrics: Metrics) -> Iterator[Finding]:
    rule = metrics.threshold_rule
    if rule is not None and not rule.feasible:
        sentence = (
            f"no threshold meets the rule {rule.rule}: see the training's metrics.json for the best there was"
        )
        yield Finding("threshold", "failed", sentence, {"threshold": metrics.threshold})


def _warnings(gate: Gate, metrics: Metrics) -> Iterator[Finding]:
    for warning in metrics.warnings:
        if warning.code in gate.blocking_warnings:
            figures = {} if warning.value is None else {"value": warning.value}
            yield Finding("warnings", "failed", f"{warning.code}: {warning.sentence}", figures)
