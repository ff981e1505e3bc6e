"""A composed YAML file's nodes → plain values.

By YAML 1.2's core schema and dates: ``no`` and ``012`` are text, ``1e-6`` is a number, as editors with the JSON
schema see them. Keys are text whatever they look like. What cannot become a value is left out and noted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeAlias

import yaml

# a key, or a place in a list
Path: TypeAlias = tuple[str | int, ...]

# mappings whose values are handed on as the file writes them: 0.10 stays 0.10, true stays true
AS_WRITTEN = frozenset({"spark_defaults", "tags"})
# mappings of such mappings
AS_WRITTEN_WITHIN = frozenset({"configurations"})

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]{0,17})")
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")
_NULL = {"", "~", "null", "Null", "NULL"}
_TAGS = "tag:yaml.org,2002"
_SCALAR_KINDS = frozenset({"str", "null", "bool", "int", "float", "timestamp", "merge", "value"})
_COLLECTION_TAGS = frozenset({f"{_TAGS}:map", f"{_TAGS}:seq"})


@dataclass(frozen=True)
class Finding:
    """A mistake of the file's form: where, and in which words."""

    path: Path
    line: int
    problem: str
    accepted: str


class YamlSyntaxError(ValueError):
    """The text is no YAML, or none that values are made from; carries the one finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.problem)
        self.finding = finding


# a few lines of aliases of aliases can stand for more values than a machine holds
_MOST_VALUES = 1_000_000
_DEEPEST = 50
_TOO_MANY = Finding((), 1, f"stands for more than {_MOST_VALUES:,} values", "fewer aliases of aliases")
TOO_DEEP = Finding((), 1, f"is nested more than {_DEEPEST} deep", "the fields of a portfolio")


class Constructor:
    """Nodes → values; raises YamlSyntaxError for a file out of all proportion."""

    def __init__(self, findings: list[Finding]) -> None:
        self._findings = findings
        self._open: set[int] = set()
        self._count = 0

    def value(self, node: yaml.Node, path: Path, *, as_written: bool = False) -> Any:
        self._count += 1
        if self._count > _MOST_VALUES:
            raise YamlSyntaxError(_TOO_MANY)
        if len(self._open) > _DEEPEST:
            raise YamlSyntaxError(TOO_DEEP)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path, as_written=as_written)
        if id(node) in self._open:
            self._note(node, path, "is an alias of what it stands in", "a value without itself in it")
            return None
        self._open.add(id(node))
        try:
            if node.tag not in _COLLECTION_TAGS:
                return self._tagged(node, path)
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            return tuple(self.value(item, (*path, place)) for place, item in enumerate(node.value))
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        as_written = any(place in AS_WRITTEN for place in path[-1:]) or any(
            place in AS_WRITTEN_WITHIN for place in path[-2:-1]
        )
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if not isinstance(key, str):
                self._note(key_node, path, "has a key that is no plain text", "one word before each colon")
            elif key_node.tag == f"{_TAGS}:merge":
                self._note(key_node, (*path, key), "is no field", "a whole value as an alias, or defaults")
            elif key in values:
                first = lines[key]
                self._note(
                    key_node, (*path, key), f"stands twice, in lines {first} and {line}", "one of the two"
                )
            else:
                values[key] = self.value(value_node, (*path, key), as_written=as_written)
                lines[key] = line
        return values

    def _scalar(self, node: yaml.ScalarNode, path: Path, *, as_written: bool) -> Any:
        text: str = node.value
        namespace, _, kind = node.tag.rpartition(":")
        if namespace != _TAGS or kind not in _SCALAR_KINDS:
            return self._tagged(node, path)
        if (
            node.style
            or (kind == "str" and not _NUMBER.fullmatch(text))
            or (as_written and text not in _NULL)
        ):
            return text
        return _plain(text)

    def _tagged(self, node: yaml.Node, path: Path) -> None:
        self._note(node, path, f"has the YAML tag {node.tag}", "a value without a tag")

    def _note(self, node: yaml.Node, path: Path, problem: str, accepted: str) -> None:
        self._findings.append(Finding(path, node.start_mark.line + 1, problem, accepted))


def _plain(text: str) -> Any:
    """The value of an unquoted scalar."""
    if text in _NULL:
        return None
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and not re.match(r"[-+]?0[0-9]", text):
        return float(text)
    try:
        return date.fromisoformat(text) if len(text) == 10 else text
    except ValueError:
        return text
