"""Values that come in variants: one field says which, and the others are that variant's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Discriminator


@dataclass(frozen=True)
class Variants:
    """
    :param by: the field whose text names the variant
    :param default: the variant of a value that does not say
    """

    by: str
    default: str

    def discriminator(self) -> Discriminator:
        """What tells pydantic which variant a value is."""
        return Discriminator(self.of)

    def of(self, value: Any) -> str | None:
        """The variant's name; None for what is no such value."""
        if isinstance(value, Mapping):
            return str(value.get(self.by, self.default))
        name = getattr(value, self.by, None)
        return name if isinstance(name, str) else None


LEARNERS = Variants(by="name", default="LogisticRegression")
THRESHOLDS = Variants(by="rule", default="fixed")
# field of a model → the variants of its value
BY_FIELD = {"learner": LEARNERS, "threshold": THRESHOLDS}
