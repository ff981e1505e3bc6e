"""Whether a version that is being recorded shall serve: values in, a decision with its reason out.

Decided under the lock of what serves, so that it holds when it is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

Outcome = Literal["activated", "held_back", "recorded"]


@dataclass(frozen=True)
class Verdict:
    """What was found out about a challenger before the switch.

    :param passes: whether it may serve
    :param code: why, for grouping
    :param sentence: why, for a person
    :param report: what was compared, with figures; goes into JSON
    """

    passes: bool
    code: str
    sentence: str
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Challenger:
    """The version that is being recorded."""

    data_date: date
    feature_space: str
    num_features: int
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Champion:
    """The version that serves now, and who pinned it if anybody did."""

    version_id: int
    data_date: date
    feature_space: str
    num_features: int
    pinned_by: str | None = None
    pinned_reason: str | None = None


@dataclass(frozen=True)
class Decision:
    """What becomes of a version.

    :param outcome: ``activated``; ``held_back``: it did not pass; ``recorded``: it would serve but for something newer
        or a pin
    """

    outcome: Outcome
    code: str
    sentence: str
    report: Mapping[str, Any] = field(default_factory=dict)


def decide(challenger: Challenger, champion: Champion | None) -> Decision:
    """The rules, the strictest first; on equal data dates the later training wins, and that is the challenger."""
    verdict = challenger.verdict
    report = {} if verdict is None else verdict.report
    if verdict is not None and not verdict.passes:
        return Decision("held_back", verdict.code, verdict.sentence, report)
    if champion is None:
        return Decision("activated", "first_version", "the first version", report)
    mistake = feature_count_mistake(challenger, champion)
    if mistake is not None:
        return Decision("held_back", "feature_count_changed", mistake, report)
    return _between(challenger, champion, report)


def _between(challenger: Challenger, champion: Champion, report: Mapping[str, Any]) -> Decision:
    """Which of two that may serve does."""
    if challenger.data_date < champion.data_date:
        sentence = f"version {champion.version_id} has newer data, of {champion.data_date}"
        return Decision("recorded", "older_data", sentence, report)
    if champion.pinned_by is not None:
        pinned = f"version {champion.version_id} was pinned by {champion.pinned_by}: {champion.pinned_reason}"
        return Decision("recorded", "pinned", pinned, report)
    if challenger.data_date > champion.data_date:
        return Decision("activated", "newer_data", f"newer data than of {champion.data_date}", report)
    return Decision("activated", "later_training", "a later training on data of the same date", report)


def feature_count_mistake(challenger: Challenger, champion: Champion) -> str | None:
    """Within one feature space the width is one: another one would give features a new meaning unseen."""
    if challenger.feature_space != champion.feature_space or challenger.num_features == champion.num_features:
        return None
    return (
        f"num_features is {challenger.num_features}, but version {champion.version_id}, which serves, has "
        f"{champion.num_features} in the same feature space {champion.feature_space!r}: give the new features a "
        "feature_space of their own"
    )
