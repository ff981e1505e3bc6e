"""``thresholds.json`` and a rule → the threshold that the rule chooses."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from trainyard.scoring.numbers import ArtifactError, finite
from trainyard.scoring.probabilities import Probabilities, probabilities_of
from trainyard.scoring.threshold_rules import Choice, Outcomes, choose, fixed

FORMAT_VERSION = 2


def choose_again(content: bytes, rule: dict[str, Any]) -> Choice:
    """The threshold of a rule by the outcomes that a training has left.

    Exact where the file has every distinct score. Where it has fewer, what a choice achieves is exact, and the best
    threshold may lie between two points, whose counts differ by ``max_error_rows`` at most.

    :param content: the bytes of thresholds.json
    :param rule: ``rule`` and its parameters
    :raises ArtifactError: the content is no such file
    """
    outcomes, probabilities = read_thresholds(content)
    if rule["rule"] == "fixed":
        return fixed(rule["value"], probabilities, outcomes)
    return choose(rule, outcomes)


def read_thresholds(content: bytes) -> tuple[Outcomes, Probabilities]:
    """What thresholds.json holds; raises ArtifactError."""
    try:
        document = json.loads(content)
    except ValueError as error:
        raise ArtifactError(f"thresholds.json is no JSON: {error}") from None
    version = document.get("format_version") if isinstance(document, dict) else None
    if version != FORMAT_VERSION:
        raise ArtifactError(f"thresholds.json has format_version {version!r}; expected {FORMAT_VERSION}")
    columns = [
        finite(document, name, "thresholds") for name in ("scores", "true_positives", "false_positives")
    ]
    below = document.get("below")
    if not isinstance(below, list) or {len(below), *map(len, columns)} != {len(columns[0])} or not below:
        raise ArtifactError(
            "thresholds.json: scores, below and counts must be equally many, and at least one"
        )
    scores, true_positives, false_positives = columns
    if (np.diff(scores) >= 0).any():
        raise ArtifactError("thresholds.json: scores must descend")
    try:
        outcomes = Outcomes(
            scores=scores,
            below=np.array(below, dtype=np.float64),
            true_positives=true_positives,
            false_positives=false_positives,
            positives=float(document["positives"]),
            negatives=float(document["negatives"]),
            max_error_rows=float(document["max_error_rows"]),
        )
        return outcomes, probabilities_of(document)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"thresholds.json: {error}") from None
