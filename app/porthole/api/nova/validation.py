"""Checks a body against a schema with the words that Nova's answers have.

Only the few words of JSON Schema that :mod:`porthole.api.nova.schemas` uses are
known: type, properties, required, enum, additionalProperties.
"""

from __future__ import annotations

from typing import Any

from porthole.api.errors import RequestError
from porthole.api.nova.schemas import Schema

_TYPES: dict[str, type] = {"object": dict, "string": str}
_SHOWN = 200


def validate(schema: Schema, body: Any) -> dict[str, Any]:
    """The body, when it is as the schema says.

    :raises RequestError: 400 with what is wrong, in the form of nova/api/validation/validators.py
    """
    _check(schema, body, ())
    checked: dict[str, Any] = body
    return checked


def _check(schema: Schema, value: Any, path: tuple[str, ...]) -> None:
    if not isinstance(value, _TYPES[schema["type"]]):
        _refuse(path, value, f"{_shown(value)} is not of type '{schema['type']}'")
    if "enum" in schema and value not in schema["enum"]:
        _refuse(path, value, f"{_shown(value)} is not one of {schema['enum']!r}")
    properties: dict[str, Schema] = schema.get("properties", {})
    for name, part in properties.items():
        if name in value:
            _check(part, value[name], (*path, name))
    for name in schema.get("required", ()):
        if name not in value:
            _refuse(path, value, f"{name!r} is a required property")
    if schema.get("additionalProperties") is False:
        extra = [_shown(name) for name in value if name not in properties]
        if extra:
            verb = "was" if len(extra) == 1 else "were"
            names = ", ".join(extra[:5])
            _refuse(path, value, f"Additional properties are not allowed ({names} {verb} unexpected)")


def _refuse(path: tuple[str, ...], value: Any, message: str) -> None:
    if path:
        message = f"Invalid input for field/attribute {path[-1]}. Value: {_shown(value, str)}. {message}"
    raise RequestError(400, message)


def _shown(value: Any, form: Any = repr) -> str:
    text: str = form(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
