"""Values of a graph as JSON text."""

import json
from typing import Any

import orjson
from pydantic import BaseModel


def dumps(value: Any) -> str:
    """Return a value as JSON; what JSON does not have is written as what it says of itself."""
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # halves of surrogate pairs, and numbers of more than 64 bits
        return json.dumps(value, default=_plain)


def loads(value: Any) -> Any:
    """Return a value as JSON has it: dicts, lists, texts, numbers."""
    return json.loads(dumps(value))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if isinstance(value, BaseException):
        return {"error": type(value).__name__, "message": str(value)}
    return str(value)
