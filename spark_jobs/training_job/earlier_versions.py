"""The versions that a request names to be measured beside the new model: where they lie, and what they are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training_job.fields import Fields

ROLES = ("champion", "best_recent")


@dataclass(frozen=True)
class EarlierVersion:
    """
    :param folder: its training folder; ends with a slash
    """

    version_id: int
    training_id: str
    attempt: int
    folder: str
    data_date: str


def parse_earlier_versions(top: Fields) -> dict[str, EarlierVersion]:
    """By role, those that there are; raises ``bad_request``."""
    # what served at the launch is publishing's to look at, and requests of older packages lack it
    if "serving" in top.names():
        top.take("serving", (dict, type(None)), "a version's identity, or null")
    found = {role: _version(top, role) for role in ROLES}
    return {role: version for role, version in found.items() if version is not None}


def _version(top: Fields, role: str) -> EarlierVersion | None:
    if top.take(role, (dict, type(None)), "a version's identity and folder, or null") is None:
        return None
    fields = top.fields(role)
    version = EarlierVersion(
        version_id=fields.positive("version_id"),
        training_id=fields.text("training_id"),
        attempt=fields.positive("attempt"),
        folder=fields.text("folder").rstrip("/") + "/",
        data_date=fields.text("data_date"),
    )
    fields.end()
    return version
