"""Answers for schemas of no other persona: valid and always the same."""

from collections.abc import Mapping
from typing import Any

from selfheal.simulator.answer_context import AnswerContext
from selfheal.simulator.call import Call

Schema = Mapping[str, Any]


def answer(call: Call, context: AnswerContext) -> Mapping[str, Any]:
    """Fill the call's schema with valid values."""
    return fit({}, call.schema or {})


def fit(given: Mapping[str, Any], schema: Schema) -> Mapping[str, Any]:
    """Return an object without unknown properties and with required ones filled in."""
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
    """Resolve `$ref`, and of a union take the first branch that is not null."""
    while "$ref" in schema or "anyOf" in schema:
        if "$ref" in schema:
            schema = root.get("$defs", {}).get(schema["$ref"].rsplit("/", 1)[-1], {})
        else:
            branches = [branch for branch in schema["anyOf"] if branch.get("type") != "null"]
            schema = branches[0] if branches else {"type": "null"}
    return schema
