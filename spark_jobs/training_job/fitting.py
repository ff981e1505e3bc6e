"""How a fit went, as each family of learners tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fit:
    """
    :param iterations: None where the learner does not iterate towards an optimum
    :param objective: of training, where the learner stopped
    """

    iterations: int | None = None
    objective: float | None = None
    warnings: tuple[dict[str, Any], ...] = ()
