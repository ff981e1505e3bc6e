"""The values' pydantic models → the JSON schema of the file, and what it accepts in words.

The file's layout differs from the values': a model may leave to ``defaults`` what it shares, so that nothing
in it is required by itself, and ``inputs`` may stand at the top for all.
"""

from __future__ import annotations

from typing import Any

from trainyard.portfolio.construct import AS_WRITTEN, AS_WRITTEN_WITHIN
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
            if "oneOf" in field:
                # a layer need not say which variant it is, and may then be part of several
                field["anyOf"] = field.pop("oneOf")
                field.pop("default", None)
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
