"""A person's answer to what a run would put live: values in, a verdict out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from trainyard.portfolio import Gate
from trainyard.publishing.deciding import Verdict
from trainyard.training import Training

UNANSWERED = "unanswered"


@dataclass(frozen=True)
class Answer:
    """What was answered.

    :param by: who answered; none: nobody did in time, and the portfolio's own answer holds
    :param at: when, in ISO 8601
    :param held_back: models to hold back although the others are approved
    :param asked: the attempts that the question was about, by training; about any other nothing was answered
    """

    approved: bool
    by: str | None
    at: str
    held_back: frozenset[str] = frozenset()
    asked: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Mapping[str, Any], *, asked: Mapping[str, int]) -> Answer:
        """From the mapping of JSON values that ``approve`` leaves, and what ``judge`` asked about."""
        held_back = frozenset(value.get("held_back", ()))
        return cls(value["approved"], value["by"], value["at"], held_back, dict(asked))

    def approves(self, model: str) -> bool:
        """Whether the model may serve."""
        return self.approved and model not in self.held_back


@dataclass(frozen=True)
class Policy:
    """What a run's models are held to.

    :param gates: by model; one that has none is held to what its own threshold rule demands
    :param asks: whether a person must say that they may serve
    :param answer: what the person said; none: nothing yet
    :param fresh_within: by model, how old the data of what serves may be; one that has none may be as old as it likes
    """

    gates: Mapping[str, Gate] = field(default_factory=dict)
    asks: bool = False
    answer: Answer | None = None
    fresh_within: Mapping[str, timedelta] = field(default_factory=dict)

    def gate(self, model: str) -> Gate:
        """The model's gate."""
        return self.gates.get(model, _NO_RULES)


_NO_RULES = Gate(margin=None, min_rows=0, min_positives=0)
OPEN = Policy()


def answered(verdict: Verdict, answer: Answer | None, *, training: Training, attempt: int) -> Verdict:
    """A verdict that may let a model serve, after a person was asked.

    :param answer: none: not yet, so that the verdict awaits one; so it does where the question was not about this very
        attempt
    """
    model = training.model
    if answer is None or answer.asked.get(training.training_id) != attempt:
        return replace(verdict, awaits_approval=True)
    approved = answer.approves(model)
    whose = (
        f"by {answer.by}"
        if answer.by is not None
        else "by the portfolio's default, since nobody answered in time"
    )
    note = f"{'approved' if approved else 'rejected'} {whose} ({answer.at})"
    approval = {"approved": approved, "by": answer.by, "at": answer.at}
    report = {**verdict.report, "approval": approval}
    if approved:
        return replace(verdict, notes=(*verdict.notes, note), report=report)
    code = "rejected" if answer.by is not None else UNANSWERED
    return replace(verdict, passes=False, passes_as_first=False, code=code, sentence=note, report=report)
