"""A YAML file → its values, and the line where each of them stands.

Composed once, by the C parser where PyYAML has it; lines are looked up only for mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from trainyard.portfolio.construct import TOO_DEEP, Constructor, Finding, Path, YamlSyntaxError

_TAGS = "tag:yaml.org,2002"

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]


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


def read_source(content: bytes, *, only_model: str | None = None) -> Source:
    """The values and lines of a YAML text; raises YamlSyntaxError where it is none.

    :param only_model: the one model whose values are wanted; the others' are null then, and not even looked at
    """
    try:
        root = yaml.compose(content, Loader=_Loader)
    except yaml.YAMLError as error:
        raise YamlSyntaxError(_syntax_finding(error, content)) from error
    except RecursionError as error:
        raise YamlSyntaxError(TOO_DEEP) from error
    source = Source(root)
    if only_model is not None:
        _leave_out_other_models(root, only_model)
    if root is not None:
        source.values = Constructor(source.findings).value(root, ())
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


def _leave_out_other_models(root: yaml.Node | None, name: str) -> None:
    """Make nothing of models but one; an alias of what stands in another stays what it was."""
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if key.value == "models" and isinstance(value, yaml.MappingNode):
            nothing = yaml.ScalarNode(f"{_TAGS}:null", "")
            value.value = [(model, own if model.value == name else nothing) for model, own in value.value]
