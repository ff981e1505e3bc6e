"""What is told of lines that were skipped: their number as a warning, their places as a file, nothing of their text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training_job.malformed import MalformedLine
    from training_job.session import Job

MOST_LISTED = 10_000


def skipped_warnings(skipped: Sequence[MalformedLine]) -> list[dict[str, Any]]:
    """The warning for ``metrics.json``; none where nothing was skipped."""
    if not skipped:
        return []
    first = skipped[0]
    sentence = (
        f"{len(skipped):,} lines could not be read and were skipped, the first in {first.file}, line {first.line}: "
        f"{first.reason}; skipped_lines.json lists them."
    )
    return [{"code": "bad_lines_skipped", "sentence": sentence, "value": len(skipped), "split": None}]


def save_skipped(job: Job, skipped: Sequence[MalformedLine]) -> None:
    """Save ``skipped_lines.json``, where there are such lines."""
    if skipped:
        job.begin_saving().write_json("skipped_lines.json", _listed(skipped))


def _listed(skipped: Sequence[MalformedLine]) -> dict[str, Any]:
    lines = [
        {"file": each.file, "line": each.line, "code": each.code, "reason": each.reason}
        for each in skipped[:MOST_LISTED]
    ]
    return {"count": len(skipped), "lines": lines}
