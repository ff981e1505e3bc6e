"""What is wrong in a portfolio's file, one value a mistake, one line a mistake."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mistake:
    """One thing to correct.

    :param line: from 1; 0 where the file as a whole is meant
    :param section: ``portfolio``, ``defaults`` or ``model <name>``
    :param field: dotted path below the section; empty where the section itself is meant
    :param value: the refused value as JSON; none where the value is not what is wrong
    :param problem: what is wrong with it
    :param accepted: what to write instead; empty where the problem says it
    """

    file: Path
    line: int
    section: str
    field: str
    value: str | None
    problem: str
    accepted: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else str(self.file)
        what = f"{self.section}, {self.field}" if self.field else self.section
        problem = self.problem if self.value is None else f"{self.value} {self.problem}"
        return f"{where}: {what}: {problem}" + (f"; {self.accepted}" if self.accepted else "")


class PortfolioError(ValueError):
    """A file is no portfolio. Its text is one line a mistake, in the file's order."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__(mistakes)
        self.mistakes = mistakes

    def __str__(self) -> str:
        return "\n".join(str(mistake) for mistake in self.mistakes)
