"""What a JSON schema allows, and what it does not quite: for Hypothesis, and at random."""

import random
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

_TEXTS = st.text(max_size=30)
_NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=6,
)
_FORMATS = {"uuid": st.uuids().map(str), "date-time": st.datetimes().map(lambda at: at.isoformat())}


def values(schema: Mapping[str, Any], document: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Return mostly what a schema allows; now and then anything instead, at any place."""
    return st.integers(0, 9).flatmap(
        lambda dice: _allowed(schema, document) if dice else _ANYTHING,
    )


def _allowed(schema: Mapping[str, Any], document: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return values(document["components"]["schemas"][name], document)
    if "anyOf" in schema:
        return st.one_of(*(values(each, document) for each in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "object":
        return _objects(schema, document)
    if schema.get("type") == "array":
        most = min(3, schema.get("maxItems", 3))
        return st.lists(values(schema.get("items", {}), document), max_size=most)
    return _plain(schema)


def _objects(schema: Mapping[str, Any], document: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    fields = schema.get("properties", {})
    if not fields:
        return st.dictionaries(_TEXTS, _ANYTHING, max_size=3)
    needed = schema.get("required", ())
    every = {name: values(each, document) for name, each in fields.items()}
    return st.fixed_dictionaries(
        {name: each for name, each in every.items() if name in needed},
        optional={name: each for name, each in every.items() if name not in needed},
    )


def _plain(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    low, high = schema.get("minimum"), schema.get("maximum")
    match schema.get("type"):
        case "string" if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        case "string" if "pattern" in schema:
            return st.from_regex(schema["pattern"], fullmatch=True)
        case "string":
            least = schema.get("minLength", 0)
            return st.text(min_size=least, max_size=min(40, schema.get("maxLength", 40)))
        case "integer":
            return st.integers(low, high)
        case "number":
            return st.floats(low, high, allow_nan=False, allow_infinity=False)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case _:
            return _ANYTHING


_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**20, "", " ", "0", "null", "\0", "\ud800", "²", "é" * 50,
    [], {}, [[]], {"": {}}, {"configurable": 1}, {"configurable": {}}, {"checkpoint_id": ""},
)  # fmt: skip


def arbitrary(dice: random.Random, schema: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    """Return mostly what a schema allows; at any place one of eight values is any other."""
    if dice.random() < 0.125:
        return dice.choice(_ODD)
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return arbitrary(dice, document["components"]["schemas"][name], document)
    if "anyOf" in schema:
        return arbitrary(dice, dice.choice(schema["anyOf"]), document)
    if "enum" in schema or "const" in schema:
        return dice.choice(schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {"a": {}, "b": {}})
            needed = schema.get("required", ())
            taken = [each for each in fields if each in needed or dice.random() < 0.4]
            return {each: arbitrary(dice, fields[each], document) for each in taken}
        case "array":
            items = schema.get("items", {})
            return [arbitrary(dice, items, document) for _ in range(dice.randrange(4))]
        case "string":
            return dice.choice(("agent", "x", "0 6 * * *", "f(1)", "2027-01-01T00:00:00Z"))
        case "integer" | "number":
            return dice.choice((0, 1, 2, 100))
        case "boolean":
            return dice.random() < 0.5
    return dice.choice(_ODD)
