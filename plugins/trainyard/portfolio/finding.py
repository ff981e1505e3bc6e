"""What pydantic refuses → mistakes that name the line, the section and what would be accepted."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails

from trainyard.portfolio import fields
from trainyard.portfolio.construct import Path as FieldPath
from trainyard.portfolio.mistakes import Mistake
from trainyard.portfolio.rules import CONFLICT, REFUSED, Value
from trainyard.portfolio.schema import accepted
from trainyard.portfolio.source import Source
from trainyard.portfolio.variants import BY_FIELD

_LONGEST_VALUE = 120


class Findings:
    """Collects a file's mistakes, each where its value stands and once."""

    def __init__(self, file: Path, source: Source) -> None:
        self._file = file
        self._source = source
        self._mistakes: dict[Mistake, None] = {}
        # what has no value by its form needs no second mistake for its value
        self._unreadable = {found.path for found in source.findings}
        for found in source.findings:
            self._note(found.line, found.path, None, found.problem, found.accepted)

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """What was found so far."""
        return tuple(self._mistakes)

    def in_order(self) -> tuple[Mistake, ...]:
        """The mistakes by line."""
        return tuple(sorted(self._mistakes, key=lambda mistake: mistake.line))

    def add(self, path: FieldPath, value: str | None, problem: str, accepted: str) -> None:
        """A mistake at a path of the file, or at the nearest thing above it that is there."""
        self._note(self._line(path), path, value, problem, accepted)

    def refused(self, path: FieldPath, value: Any, accepted: str = "") -> None:
        """A value that its field does not accept."""
        if value is None and path in self._unreadable:
            return
        self.add(path, _shown(value), "is not accepted", accepted or _accepted(path))

    def unknown(self, path: FieldPath, *, location: FieldPath | None = None) -> None:
        """A field that there is not.

        :param location: the path with the names of the variants that its values are
        """
        line = self._source.key_line(path) or self._line(path)
        self._note(line, path, None, "is no known field", _instead_of(path, location or path))

    def of_defaults(self, errors: Iterable[ErrorDetails]) -> None:
        """What is wrong in the shared values alone; what they lack, models may have."""
        for error in errors:
            if error["type"] not in {"missing", CONFLICT}:
                self._refuse(("defaults", *error["loc"]), error)

    def of_portfolio(self, errors: Iterable[ErrorDetails], *, models: int) -> None:
        """What is wrong in the whole file. What each of several models lacks is told once."""
        lacking: dict[FieldPath, list[str]] = defaultdict(list)
        for error in errors:
            path = fields.untagged(error["loc"])
            if error["type"] != "missing":
                self._refuse(error["loc"], error)
            elif path[0] == "models" and len(path) > 2:
                lacking[path[2:]].append(str(path[1]))
            else:
                self._missing(path)
        for field, names in lacking.items():
            if len(names) == models > 1:
                self._missing(("defaults", *field))
                continue
            for name in names:
                self._missing(("models", name, *field))

    def _stands(self, path: FieldPath) -> FieldPath:
        """The path of the layer that a merged value comes from: the model, the defaults, the portfolio."""
        if path[0] not in {"models", "defaults"}:
            return path
        own = path[2:] if path[0] == "models" else path[1:]
        if own and own[-1] == "[key]":
            own = own[:-1]
        candidates = (path, ("defaults", *own), own)
        return next((place for place in candidates if own and self._source.key_line(place)), path)

    def _refuse(self, location: FieldPath, error: ErrorDetails) -> None:
        """:param location: the error's own, below models or defaults"""
        if error["type"] == "default_factory_not_called":
            return  # another error's shadow
        path = self._stands(fields.untagged(location))
        if error["type"] == "extra_forbidden":
            self.unknown(path, location=location)
            return
        if error["type"] == "union_tag_invalid":
            by = BY_FIELD[str(path[-1])].by
            self.refused(self._stands((*fields.untagged(location), by)), error["input"][by])
            return
        said = error["ctx"]["accepted"] if error["type"] in {REFUSED, CONFLICT} else ""
        if error["loc"][-1] == "[key]":
            path = path[:-1] if path[-1] == "[key]" else path
            said = said or fields.accepted_key(path[:-1])
            self._note(self._source.key_line(path) or 0, path, _shown(path[-1]), "is not accepted", said)
            return
        if isinstance(error["input"], Value):
            # nobody wrote it: it is a default that other values of the model rule out
            self.add(path, None, "is missing", said)
            return
        self.refused(path, error["input"], said or _accepted(location))

    def _missing(self, path: FieldPath) -> None:
        self.add(path, None, "is missing", _accepted(path))

    def _line(self, path: FieldPath) -> int:
        """Where a path stands, or else the nearest of its parents."""
        while path:
            line = self._source.line(path)
            if line:
                return line
            # what no defaults hold would have to stand below models
            path = ("models",) if path == ("defaults",) else path[:-1]
        return 1

    def _note(self, line: int, path: FieldPath, value: str | None, problem: str, accepted: str) -> None:
        section, field = _section(path)
        self._mistakes[Mistake(self._file, line, section, field, value, problem, accepted)] = None


def _section(path: FieldPath) -> tuple[str, str]:
    """``portfolio``, ``defaults`` or ``model <name>``, and the dotted rest."""
    words = [str(part) for part in path]
    if len(path) > 1 and path[0] == "models":
        return f"model {words[1]}", ".".join(words[2:])
    if path and path[0] == "defaults":
        return "defaults", ".".join(words[1:])
    return "portfolio", ".".join(words)


def _accepted(path: FieldPath) -> str:
    return accepted(fields.field_schema(path) or {})


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _instead_of(path: FieldPath, location: FieldPath) -> str:
    """What to write in place of an unknown field: where it belongs, the nearest known one, or all of them."""
    name = str(path[-1])
    if name == "name" and len(path) <= 3:
        return "a model's name is its key under models"
    known = fields.known_fields(location[:-1])
    having = fields.variants_with(path)
    if having:
        return f"{' and '.join(having)} has it; known are {', '.join(known)}"
    paths = (entry.path for entry in fields.field_entries())
    belongs = next((known for known in paths if known.rpartition(".")[2] == name), None)
    if belongs is not None:
        inside = path[0] in {"models", "defaults"}
        if inside and not belongs.startswith("defaults."):
            return "it belongs at the top of the file"
        return f"it belongs at {belongs.removeprefix('defaults.') if inside else belongs}"
    near = get_close_matches(name, known, n=1)
    return f"nearest: {near[0]}" if near else f"known are {', '.join(known)}"
