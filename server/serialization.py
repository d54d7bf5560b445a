"""Values of graphs, checkpoints and runs as JSON."""

import json
from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel

from selfheal.db.runs import Run
from selfheal.server.assistants import find_assistant


def dumps(value: Any) -> str:
    """Return a value as JSON text; values of other types are written as `str` shows them."""
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # halves of surrogate pairs, and integers of more than 64 bits
        return json.dumps(value, default=_plain)


def loads(value: Any) -> Any:
    """Return a value as JSON has it: dicts, lists, strings, numbers."""
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


def checkpoint_ref(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the thread, namespace and id of a checkpoint; None if a config names none."""
    place = (config or {}).get("configurable") or {}
    if not place.get("checkpoint_id"):
        return None
    return {
        "thread_id": place["thread_id"],
        "checkpoint_ns": place.get("checkpoint_ns", ""),
        "checkpoint_id": place["checkpoint_id"],
    }


def run_document(run: Run) -> dict[str, Any]:
    """Return a run as LangGraph's API has it, in answers and in webhooks."""
    return {
        "run_id": run.id,
        "thread_id": run.thread_id,
        "assistant_id": find_assistant(run.assistant).id,
        "created_at": run.created_at,
        "updated_at": run.updated_at or run.created_at,
        "status": run.status,
        "metadata": run.metadata,
        "kwargs": run.kwargs,
        "multitask_strategy": run.multitask,
        "langsmith_session_name": None,
    }
