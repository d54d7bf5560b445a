"""Answers for schemas that belong to no persona: valid, plain, and the same every time."""

from collections.abc import Mapping
from typing import Any

from selfheal.simulator.call import Call
from selfheal.simulator.world import Setting

Schema = Mapping[str, Any]


def answer(call: Call, setting: Setting) -> Mapping[str, Any]:
    """Fill the call's schema with valid values."""
    return fit({}, call.schema or {})


def fit(given: Mapping[str, Any], schema: Schema) -> Mapping[str, Any]:
    """Return the given object with what the schema does not know left out and the rest filled."""
    known = schema.get("properties", {})
    required = schema.get("required", list(known))
    kept = {name: value for name, value in given.items() if name in known}
    missing = {name: _fill(known[name], schema) for name in required if name not in kept}
    return kept | missing


def _fill(schema: Schema, root: Schema) -> object:
    schema = _resolve(schema, root)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema or "default" in schema:
        return schema.get("const", schema.get("default"))
    kind = str(schema.get("type", "string")).lower()
    if kind == "object":
        return fit({}, {**schema, "$defs": root.get("$defs", {})})
    if kind == "array":
        return [_fill(schema.get("items", {}), root)] * int(schema.get("minItems", 0))
    if kind in {"number", "integer"}:
        return schema.get("minimum", 0)
    return {"boolean": True, "null": None}.get(kind, "SIMULATED")


def _resolve(schema: Schema, root: Schema) -> Schema:
    """Follow `$ref`, and take the first branch that is not null of a union."""
    while "$ref" in schema or "anyOf" in schema:
        if "$ref" in schema:
            schema = root.get("$defs", {}).get(schema["$ref"].rsplit("/", 1)[-1], {})
        else:
            branches = [branch for branch in schema["anyOf"] if branch.get("type") != "null"]
            schema = branches[0] if branches else {"type": "null"}
    return schema
