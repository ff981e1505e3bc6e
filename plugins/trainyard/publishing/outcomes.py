"""How publishing ended for a model, in a code for programs and a sentence for a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from trainyard.publishing.analytics import AttemptRecord
from trainyard.publishing.application import PublishedVersion
from trainyard.publishing.records import publishable

_OUTCOME_WORDS = {
    "held_back": "held back",
    "inconclusive": "held back",
    "recorded": "recorded, not activated",
}

_WAITING = "it waits for a person's answer: clear the task judge and what follows it to be asked"

Status = Literal[
    "activated",
    "held_back",
    "inconclusive",
    "waiting_for_approval",
    "recorded",
    "measured",
    "skipped",
    "failed",
]


@dataclass(frozen=True)
class ModelOutcome:
    """How publishing ended for one model.

    :param status: ``activated``: its version serves or has served; ``held_back``: a version is kept, which did not
        pass; ``inconclusive``: so too, since too little is known; ``waiting_for_approval``: metrics are kept, and a
        version will be once a person has answered; ``recorded``: a version is kept, but what serves has newer data or
        is pinned; ``measured``: only metrics were wanted; ``skipped``: nothing was to be trained; ``failed``: there was
        nothing to publish
    :param sentence: for a person
    :param live: whether the version serves now
    """

    model: str
    status: Status
    version_id: int | None
    failure_code: str | None
    sentence: str
    decision_code: str | None = None
    live: bool = False


def outcome_of(
    attempts: Sequence[AttemptRecord], version: PublishedVersion | None, *, activate: bool
) -> ModelOutcome:
    """How it ended for the model that the attempts are of.

    :param attempts: of one training, at least one
    :param version: what was published of it; none where nothing was, or only metrics were wanted
    :param activate: whether a version was wanted
    """
    model, last = attempts[-1].training.model, attempts[-1]
    if version is not None:
        sentence = _sentence(version, attempts)
        live = version.live_version_id == version.version_id
        return ModelOutcome(model, version.outcome, version.version_id, None, sentence, version.code, live)
    if publishable(attempts) is not None and activate:
        return ModelOutcome(model, "waiting_for_approval", None, None, _WAITING)
    if publishable(attempts) is not None:
        return ModelOutcome(model, "measured", None, None, "metrics recorded, no version was wanted")
    status: Status = "skipped" if last.outcome == "skipped" else "failed"
    return ModelOutcome(model, status, None, last.failure_code, last.failure_sentence or "")


def _sentence(version: PublishedVersion, attempts: Sequence[AttemptRecord]) -> str:
    name = f"version {version.version_id}"
    live = f"version {version.live_version_id} of data date {version.live_data_date} serves"
    if version.live_version_id == version.version_id:
        sentence = f"{name} serves"
    elif version.outcome == "activated":
        sentence = f"{name} was activated; now {live}"
    elif version.live_version_id is None:
        sentence = f"{name} is {_OUTCOME_WORDS[version.outcome]}, nothing serves yet: {version.sentence}"
    else:
        sentence = f"{name} is {_OUTCOME_WORDS[version.outcome]}: {version.sentence}; {live}"
    chosen = publishable(attempts)
    if chosen is not None and chosen.number != version.attempt:
        sentence += (
            f"; it is of attempt {version.attempt}, attempt {chosen.number} came after the training was published: "
            "start a new run to publish anew"
        )
    return sentence
