"""A YAML file → plain values, and the line where each of them stands.

Composed once, by the C parser where PyYAML has it. Values are made from the nodes here, by YAML 1.2's core
schema and dates: ``no`` and ``012`` are text, ``1e-6`` is a number, as editors with the JSON schema see them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeAlias

import yaml

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

# a key, or a place in a list
Path: TypeAlias = tuple[str | int, ...]

# mappings whose values are handed on as the file writes them: 0.10 stays 0.10, true stays true
AS_WRITTEN = frozenset({"spark_defaults", "tags"})

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
    """The text is no YAML; carries the one finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.problem)
        self.finding = finding


@dataclass
class Source:
    """A composed file: its values, what is wrong with its form, and lines by path."""

    root: yaml.Node | None
    values: Any = None
    findings: list[Finding] = field(default_factory=list)
    _steps: dict[int, dict[str | int, tuple[yaml.Node, yaml.Node]]] = field(default_factory=dict)

    def line(self, path: Path) -> int | None:
        """Line, from 1, of a scalar, or of the key of a mapping or list; none where nothing stands."""
        node, line = self.root, 1
        for part in path:
            step = self._step(node, part)
            if step is None:
                return None
            key, node = step
            # a block's first line is the one after its key's
            line = (node if isinstance(node, yaml.ScalarNode) else key).start_mark.line + 1
        return line

    def key_line(self, path: Path) -> int | None:
        """Line of the key at ``path``."""
        *parents, last = path
        node = self.root
        for part in parents:
            step = self._step(node, part)
            node = None if step is None else step[1]
        step = self._step(node, last)
        return None if step is None else int(step[0].start_mark.line) + 1

    def _step(self, node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
        if not isinstance(node, yaml.CollectionNode):
            return None
        if id(node) not in self._steps:
            # asked for mistakes only, but a file of a thousand models may have a thousand of them
            self._steps[id(node)] = _steps(node)
        return self._steps[id(node)].get(part)


def read_source(content: bytes) -> Source:
    """The values and lines of a YAML text; raises YamlSyntaxError where it is none."""
    try:
        root = yaml.compose(content, Loader=_Loader)
    except yaml.YAMLError as error:
        raise YamlSyntaxError(_syntax_finding(error, content)) from error
    source = Source(root)
    if root is not None:
        source.values = _Constructor(source.findings).value(root, ())
    return source


def _syntax_finding(error: yaml.YAMLError, content: bytes) -> Finding:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark
        words = " ".join(filter(None, (error.context, error.problem)))
        return Finding((), mark.line + 1 if mark else 0, f"no YAML: {words}", "")
    position = getattr(error, "position", 0)
    line = content[:position].count(b"\n") + 1
    return Finding((), line, f"no YAML: {getattr(error, 'reason', error)}", "text in UTF-8")


def _steps(node: yaml.CollectionNode) -> dict[str | int, tuple[yaml.Node, yaml.Node]]:
    """What stands directly below a mapping or list: by key the key and the value, by place the item twice."""
    if isinstance(node, yaml.MappingNode):
        # reversed, so that the first of two equal keys stays: it is the one that has the value
        scalars = ((key, value) for key, value in reversed(node.value) if isinstance(key.value, str))
        return {key.value: (key, value) for key, value in scalars}
    return {place: (item, item) for place, item in enumerate(node.value)}


class _Constructor:
    """Nodes → values; what cannot become one is left out and noted."""

    def __init__(self, findings: list[Finding]) -> None:
        self._findings = findings
        self._open: set[int] = set()

    def value(self, node: yaml.Node, path: Path, *, as_written: bool = False) -> Any:
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
        as_written = bool(path) and path[-1] in AS_WRITTEN
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
