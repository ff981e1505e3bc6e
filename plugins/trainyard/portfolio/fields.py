"""The fields of a portfolio's file: what the schema says about the one at a path, and all of them in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from trainyard.portfolio.construct import Path
from trainyard.portfolio.schema import Schema, accepted, json_schema
from trainyard.portfolio.values import Portfolio


@cache
def _file_schema() -> Schema:
    return json_schema()


def _resolved(schema: Schema) -> Schema:
    """A schema without reference or null alternative; what stands beside those is kept.

    Variants become one mapping of all their fields; ``variants`` holds each by its name.
    """
    while "$ref" in schema or "anyOf" in schema:
        beside = {key: value for key, value in schema.items() if key not in {"$ref", "anyOf"}}
        if "$ref" in schema:
            inner = _file_schema()["$defs"][schema["$ref"].rpartition("/")[2]]
        else:
            choices = [choice for choice in schema["anyOf"] if choice != {"type": "null"}]
            inner = choices[0] if len(choices) == 1 else _any_of(choices)
            if len(choices) < len(schema["anyOf"]):
                beside["nullable"] = True
        schema = {**inner, **beside}
    return schema


def _any_of(choices: list[Schema]) -> Schema:
    """The mapping of all fields of several variants."""
    variants = {name: variant for variant in map(_resolved, choices) for name in _constants(variant)}
    if not variants:
        return choices[0]
    properties: Schema = {}
    for variant in variants.values():
        for name, field in variant["properties"].items():
            properties.setdefault(name, field)
    # what says which variant a value is
    (by,) = {name for name in properties if "const" in properties[name]}
    said = {key: value for key, value in properties[by].items() if key not in {"const", "default"}}
    properties[by] = {**said, "enum": [*variants]}
    return {"type": "object", "properties": properties, "variants": variants}


def _constants(variant: Schema) -> list[str]:
    return [field["const"] for field in variant.get("properties", {}).values() if "const" in field]


def untagged(location: Path) -> Path:
    """The path of the file for a location of pydantic's, in which variants' names stand among the fields."""
    path: list[str | int] = []
    schema: Schema = _file_schema()
    for part in location:
        resolved = _resolved(schema)
        if part in resolved.get("variants", ()):
            schema = resolved["variants"][part]
            continue
        path.append(part)
        schema = _inner(resolved, part) or {}
    return tuple(path)


def _inner(resolved: Schema, part: str | int) -> Schema | None:
    """What stands below a part of a path; none where nothing may."""
    for named in ("properties", "variants"):
        if part in resolved.get(named, ()):
            return dict(resolved[named][part])
    if isinstance(resolved.get("additionalProperties"), dict):
        return dict(resolved["additionalProperties"])
    return resolved.get("items")


def field_schema(path: Path) -> Schema | None:
    """What the schema says about the field at a path of the file; none for an unknown one.

    :param path: may hold a variant's name behind the field that has variants; without, the first that has the field
    """
    return _below(_file_schema(), path)


def _below(schema: Schema, path: Path) -> Schema | None:
    resolved = _resolved(schema)
    if not path:
        return resolved
    inner = _inner(resolved, path[0])
    places = [] if inner is None else [(inner, path[1:])]
    places += [(variant, path) for variant in resolved.get("variants", {}).values()]
    found = (_below(place, rest) for place, rest in places)
    return next((schema for schema in found if schema is not None), None)


def known_fields(path: Path) -> tuple[str, ...]:
    """Names of the fields that the mapping at a path may have; empty where any may stand."""
    return tuple((field_schema(path) or {}).get("properties", ()))


def variants_with(path: Path) -> tuple[str, ...]:
    """Names of the variants that have a field which others of the same value lack.

    :param path: without variants' names
    """
    for depth in range(len(path)):
        variants = (field_schema(path[:depth]) or {}).get("variants", {})
        having = [name for name in variants if field_schema((*path[:depth], name, *path[depth:])) is not None]
        if having:
            return tuple(having)
    return ()


def accepted_key(path: Path) -> str:
    """What the keys of the mapping at a path accept, in words."""
    return accepted({"type": "string", **(field_schema(path) or {}).get("propertyNames", {})})


@dataclass(frozen=True)
class FieldEntry:
    """One field of the file: a row of a table in ``docs/portfolios.md`` or ``docs/learners.md``.

    :param location: its path, with the names of variants
    :param variant: the one that has it; empty where all do
    """

    location: Path
    schema: Schema
    required: bool
    variant: str = ""

    @property
    def path(self) -> str:
        """As the file has it, with dots."""
        return ".".join(map(str, untagged(self.location)))


@cache
def field_entries() -> tuple[FieldEntry, ...]:
    """Every field of the file, in the file's order; a model's own below ``defaults``, those of variants for each.

    What several places have in common, such as the volumes of core and task instances, is told at the first.
    """
    raw = Portfolio.model_json_schema()
    required = {name: set(part.get("required", ())) for name, part in raw["$defs"].items()}
    whole = FieldEntry((), _file_schema(), required=True)
    return tuple(_entries(whole, set(raw["required"]), required))


def _entries(above: FieldEntry, required: set[str], below: dict[str, set[str]]) -> Iterator[FieldEntry]:
    for name, field in above.schema["properties"].items():
        location, resolved = (*above.location, name), _resolved(field)
        entry = FieldEntry(location, resolved, name in required, above.variant)
        yield entry
        if "variants" in resolved:
            for reference, variant in zip(_references(field), resolved["variants"], strict=True):
                part = FieldEntry(
                    (*location, variant), resolved["variants"][variant], required=True, variant=variant
                )
                yield from _entries(part, below[reference], below)
            continue
        # inputs are described where every model's stand
        definition = next(iter(_references(field)), None)
        if definition in below and location != ("inputs",):
            yield from _entries(entry, below.pop(definition), below)


def _references(field: Schema) -> list[str]:
    choices = (field, *field.get("anyOf", ()))
    return [choice["$ref"].rpartition("/")[2] for choice in choices if "$ref" in choice]
