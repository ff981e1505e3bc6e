"""Whether a version that is being recorded shall serve: values in, a decision with its reason out.

Decided under the lock of what serves, so that it holds when it is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal

# of a version
Outcome = Literal["activated", "held_back", "inconclusive", "recorded"]
INCONCLUSIVE = "inconclusive"
WAITING = "nobody has said yet whether it may serve"


@dataclass(frozen=True)
class Verdict:
    """What was found out about a challenger before the switch.

    :param passes: whether it may serve
    :param code: why, for grouping
    :param sentence: why, for a person
    :param report: what was compared, with figures; goes into JSON
    :param notes: what the log of activations shall say besides, such as who approved
    :param launch_known: whether it is known what served when the challenger was launched
    :param served_at_launch: that version, of whatever features; none where nothing served
    :param passes_as_first: whether it may serve all the same where nothing has served before it
    :param awaits_approval: whether a person has yet to say that it may serve
    """

    passes: bool
    code: str
    sentence: str
    report: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    launch_known: bool = False
    served_at_launch: int | None = None
    passes_as_first: bool = False
    awaits_approval: bool = False


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

    :param outcome: ``activated``; ``held_back``: it did not pass; ``inconclusive``: too little is known, and that is
        not enough for its gate; ``recorded``: it would serve but for something newer or a pin;
        ``waiting_for_approval``: it would serve if a person said so, and is not recorded before one answers
    """

    outcome: Outcome | Literal["waiting_for_approval"]
    code: str
    sentence: str
    report: Mapping[str, Any] = field(default_factory=dict)


def decide(challenger: Challenger, champion: Champion | None) -> Decision:
    """The rules, the strictest first; on equal data dates the later training wins, and that is the challenger."""
    verdict = challenger.verdict or Verdict(passes=True, code="passed", sentence="")
    if not verdict.passes and not (verdict.passes_as_first and champion is None):
        outcome: Outcome = "inconclusive" if verdict.code == INCONCLUSIVE else "held_back"
        return Decision(outcome, verdict.code, verdict.sentence, verdict.report)
    if champion is None:
        notes = verdict.notes if verdict.passes else (*verdict.notes, verdict.sentence)
        return _activated(replace(verdict, notes=notes), "first_version", "the first version")
    against = _kept_from_serving(challenger, champion, verdict)
    if against is not None:
        return against
    if challenger.data_date > champion.data_date:
        return _activated(verdict, "newer_data", f"newer data than of {champion.data_date}")
    return _activated(verdict, "later_training", "a later training on data of the same date")


def _kept_from_serving(challenger: Challenger, champion: Champion, verdict: Verdict) -> Decision | None:
    mistake = feature_count_mistake(challenger, champion)
    if mistake is not None:
        return Decision("held_back", "feature_count_changed", mistake, verdict.report)
    if challenger.data_date < champion.data_date:
        sentence = f"version {champion.version_id} has newer data, of {champion.data_date}"
        return Decision("recorded", "older_data", sentence, verdict.report)
    if champion.pinned_by is not None:
        whose = f"by {champion.pinned_by}: {champion.pinned_reason}"
        sentence = f"the model is pinned to version {champion.version_id} {whose}"
        return Decision("recorded", "pinned", sentence, verdict.report)
    changed = _champion_changed(champion, verdict)
    return None if changed is None else Decision("held_back", "champion_changed", changed, verdict.report)


def _champion_changed(champion: Champion, verdict: Verdict) -> str | None:
    """What was launched beside something else than what it would replace has shown nothing about that."""
    if not verdict.launch_known or verdict.served_at_launch == champion.version_id:
        return None
    then = "nothing" if verdict.served_at_launch is None else f"version {verdict.served_at_launch}"
    return (
        f"{then} served when it was launched, but version {champion.version_id} serves since: train it again"
    )


def _activated(verdict: Verdict, code: str, sentence: str) -> Decision:
    if verdict.awaits_approval:
        return Decision("waiting_for_approval", "waiting_for_approval", WAITING, verdict.report)
    return Decision("activated", code, "; ".join((sentence, *verdict.notes)), verdict.report)


def feature_count_mistake(challenger: Challenger, champion: Champion) -> str | None:
    """Within one feature space the width is one: another one would give features a new meaning unseen."""
    if challenger.feature_space != champion.feature_space or challenger.num_features == champion.num_features:
        return None
    return (
        f"num_features is {challenger.num_features}, but version {champion.version_id}, which serves, has "
        f"{champion.num_features} in the same feature space {champion.feature_space!r}: give the new features a "
        "feature_space of their own"
    )
