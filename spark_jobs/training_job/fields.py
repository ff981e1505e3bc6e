"""An object of ``request.json``, from which fields are taken by name and kind; what does not fit is a ``bad_request``.

A field that this version does not know is refused, since ignoring it would train something else than was asked for.
"""

from __future__ import annotations

from typing import Any, NoReturn

from training_job.failures import JobError

FORMAT_VERSION = 2


class Fields:
    """One object of the request, from which fields are taken by name and kind; what is left over is refused."""

    def __init__(self, document: Any, where: str) -> None:
        if not isinstance(document, dict):
            raise JobError("bad_request", f"request.json: {where or 'the top'}: expected an object")
        self._document = document
        self._where = where
        self._taken: set[str] = set()

    def path(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name

    def names(self) -> list[str]:
        return list(self._document)

    def take(self, name: str, kind: Any, accepted: str) -> Any:
        if name not in self._document:
            raise JobError("bad_request", f"request.json: {self.path(name)} is missing; expected {accepted}")
        self._taken.add(name)
        value = self._document[name]
        # JSON's true is an int to Python
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not object):
            self.refuse(name, value, accepted)
        return value

    def text(self, name: str) -> str:
        value: str = self.take(name, str, "a text")
        if not value:
            self.refuse(name, value, "a text that is not empty")
        return value

    def positive(self, name: str) -> int:
        value: int = self.take(name, int, "a whole number above 0")
        if value < 1:
            self.refuse(name, value, "a whole number above 0")
        return value

    def fields(self, name: str) -> Fields:
        return Fields(self.take(name, dict, "an object"), self.path(name))

    def end(self) -> None:
        unknown = sorted(set(self._document) - self._taken)
        if unknown:
            raise JobError(
                "bad_request",
                f"request.json: {self.path(unknown[0])} is not a field of format version {FORMAT_VERSION}; "
                f"known there are {', '.join(sorted(self._taken))}",
            )

    def refuse(self, name: str, value: object, accepted: str) -> NoReturn:
        raise JobError("bad_request", f"request.json: {self.path(name)} is {value!r}; expected {accepted}")

    def refuse_whole(self, value: object, accepted: str) -> NoReturn:
        raise JobError("bad_request", f"request.json: {self._where} is {value!r}; expected {accepted}")
