"""The values' pydantic models → the JSON schema of the file, and what it says about each field.

The file's layout differs from the values': a model may leave to ``defaults`` what it shares, so that nothing
in it is required by itself, and ``inputs`` may stand at the top for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from trainyard.portfolio.construct import AS_WRITTEN, AS_WRITTEN_WITHIN, Path
from trainyard.portfolio.rules import SENTENCE
from trainyard.portfolio.values import Portfolio

Schema = dict[str, Any]

_MODEL = {"$ref": "#/$defs/Model"}


def json_schema() -> Schema:
    """JSON schema (draft 2020-12) of a portfolio's file, for editors."""
    schema = _without_titles(Portfolio.model_json_schema())
    properties, definitions = schema["properties"], schema["$defs"]
    del properties["sha256"], definitions["Model"]["properties"]["name"]
    for definition in definitions.values():
        definition.pop("required", None)
        for name, field in definition["properties"].items():
            if name in AS_WRITTEN:
                _accept_as_written(field)
            elif name in AS_WRITTEN_WITHIN:
                within = field.pop("patternProperties", {})
                field["additionalProperties"] = field.get("additionalProperties") or next(
                    iter(within.values())
                )
                _accept_as_written(field["additionalProperties"])
    properties.update(_layers(names=properties["portfolio"], models=properties.pop("models")))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "A portfolio of Trainyard",
    }


def _layers(*, names: Schema, models: Schema) -> Schema:
    """The three places where models' values stand; ``models`` is the last, as in a file."""
    return {
        "inputs": {"$ref": "#/$defs/Inputs", "description": "Inputs of every model that says nothing else."},
        "defaults": {**_MODEL, "description": "What every model has that says nothing else."},
        "models": {
            "type": "object",
            "minProperties": 1,
            "description": models["description"],
            "propertyNames": {key: names[key] for key in ("maxLength", "pattern", SENTENCE)},
            "additionalProperties": {"anyOf": [_MODEL, {"type": "null"}]},
        },
    }


def _accept_as_written(field: Schema) -> None:
    """A mapping whose values need no quotes."""
    by_key = field.pop("patternProperties", {})
    value = field.get("additionalProperties") or next(iter(by_key.values()))
    field["additionalProperties"] = {**value, "type": ["string", "number", "boolean"]}


def _without_titles(schema: Any) -> Any:
    """Pydantic's titles are the fields' names again."""
    if isinstance(schema, dict):
        return {
            key: _without_titles(value)
            for key, value in schema.items()
            if key != "title" or not isinstance(value, str)
        }
    return [_without_titles(item) for item in schema] if isinstance(schema, list) else schema


@cache
def _file_schema() -> Schema:
    return json_schema()


def _resolved(schema: Schema) -> Schema:
    """A schema without reference or null alternative; what stands beside those is kept."""
    while "$ref" in schema or "anyOf" in schema:
        beside = {key: value for key, value in schema.items() if key not in {"$ref", "anyOf"}}
        if "$ref" in schema:
            inner = _file_schema()["$defs"][schema["$ref"].rpartition("/")[2]]
        else:
            inner = next(choice for choice in schema["anyOf"] if choice != {"type": "null"})
            beside["nullable"] = True
        schema = {**inner, **beside}
    return schema


def field_schema(path: Path) -> Schema | None:
    """What the schema says about the field at a path of the file; none for an unknown one."""
    schema = _file_schema()
    for part in path:
        schema = _resolved(schema)
        if part in schema.get("properties", {}):
            schema = schema["properties"][part]
        elif isinstance(schema.get("additionalProperties"), dict):
            schema = schema["additionalProperties"]
        elif "items" in schema:
            schema = schema["items"]
        else:
            return None
    return _resolved(schema)


def known_fields(path: Path) -> tuple[str, ...]:
    """Names of the fields that the mapping at a path may have; empty where any may stand."""
    return tuple((field_schema(path) or {}).get("properties", ()))


def accepted_key(path: Path) -> str:
    """What the keys of the mapping at a path accept, in words."""
    return accepted({"type": "string", **(field_schema(path) or {}).get("propertyNames", {})})


def accepted(schema: Schema) -> str:
    """What a field accepts, in words."""
    words = _accepted_value(schema)
    return f"{words}, or null" if schema.get("nullable") and "null" not in words else words


def _accepted_value(schema: Schema) -> str:
    if SENTENCE in schema:
        return str(schema[SENTENCE])
    choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if choices:
        return " or ".join(str(choice) for choice in choices)
    kind = str(schema.get("type"))
    if kind in {"number", "integer"}:
        return _accepted_number(schema, "a whole number" if kind == "integer" else "a number")
    if kind == "object":
        return _accepted_mapping(schema)
    return {"boolean": "true or false", "array": "a list of texts"}.get(kind) or _accepted_text(schema)


def _accepted_number(schema: Schema, noun: str) -> str:
    low, above, high, below = (
        schema.get(key) for key in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
    )
    if (low, high) == (0, 1) and schema["type"] == "integer":
        return "0 or 1"
    if low is not None and high is not None:
        return f"{noun} from {low:g} to {high}"
    if low is not None:
        return f"{noun} of at least {low:g}"
    if above is None:
        return noun
    limit = f" and of at most {high:g}" if high is not None else f" and below {below:g}" if below else ""
    return f"{noun} above {above:g}{limit}"


def _accepted_mapping(schema: Schema) -> str:
    names = ", ".join(schema.get("properties", ()))
    if names:
        return f"a mapping of {names}"
    return "a mapping with at least one entry" if schema.get("minProperties") else "a mapping"


def _accepted_text(schema: Schema) -> str:
    if schema.get("format") == "date":
        return "a date such as 2026-11-01"
    limit = schema.get("maxLength")
    return f"text of at most {limit} characters" if limit else "text"


@dataclass(frozen=True)
class FieldEntry:
    """One field of the file: a row of the table in ``docs/portfolios.md``."""

    path: str
    schema: Schema
    required: bool


@cache
def field_entries() -> tuple[FieldEntry, ...]:
    """Every field of the file once, in the file's order; a model's own below ``defaults``.

    What several places have in common, such as the volumes of core and task instances, is told at the first.
    """
    raw = Portfolio.model_json_schema()
    required = {name: set(part.get("required", ())) for name, part in raw["$defs"].items()}
    return tuple(_entries("", _file_schema(), set(raw["required"]), required))


def _entries(
    prefix: str, schema: Schema, required: set[str], below: dict[str, set[str]]
) -> Iterator[FieldEntry]:
    for name, field in schema["properties"].items():
        path, resolved = f"{prefix}{name}", _resolved(field)
        yield FieldEntry(path, resolved, name in required)
        # inputs are described where every model's stand
        choices = (field, *field.get("anyOf", ()))
        reference = next((choice["$ref"] for choice in choices if "$ref" in choice), None)
        if reference and path != "inputs":
            definition = reference.rpartition("/")[2]
            if definition in below:
                yield from _entries(f"{path}.", resolved, below.pop(definition), below)
