"""The graphs that this server runs; LangGraph's API calls them assistants."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from uuid import UUID, uuid5

from pydantic import TypeAdapter

from selfheal.optimizer.state import ShownResult

_NAMESPACE: Final = UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")  # LangGraph's for graphs
_CREATED: Final = datetime(2026, 11, 22, tzinfo=UTC)
_DESCRIPTIONS: Final = {
    "agent": "Writes Python on request and evaluates it",
    "optimizer": "Reads failed runs, writes a better prompt, proves it, releases it",
}


class UnknownAssistantError(Exception):
    """There is no such assistant."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no assistant {name!r}; there are 'agent' and 'optimizer'")


@dataclass(frozen=True, slots=True)
class Assistant:
    """A graph that can be run."""

    name: str
    id: UUID
    description: str
    created_at: datetime = _CREATED


ASSISTANTS: Final = {
    name: Assistant(name, uuid5(_NAMESPACE, name), text) for name, text in _DESCRIPTIONS.items()
}


def find_assistant(name_or_id: str) -> Assistant:
    """Return an assistant by its name or id.

    Raises:
        UnknownAssistantError: there is none.
    """
    for assistant in ASSISTANTS.values():
        if name_or_id.lower() in (assistant.name, str(assistant.id)):
            return assistant
    raise UnknownAssistantError(name_or_id)


@cache
def graph_of(name: str) -> Any:
    """Return an assistant's compiled graph, for its drawing, schemas and states."""
    if name == "agent":
        from selfheal.graph.build import agent  # noqa: PLC0415 - both are large, one may be enough

        return agent
    from selfheal.optimizer.build import optimizer  # noqa: PLC0415

    return optimizer


@cache
def schemas_of(name: str) -> dict[str, Any]:
    """Return the JSON schemas of a graph's input, output and state."""
    graph = graph_of(name)
    output = graph.get_output_jsonschema()
    if name == "optimizer":  # its reason is put into words before a client gets it
        output = TypeAdapter(ShownResult).json_schema()
    return {
        "graph_id": name,
        "input_schema": graph.get_input_jsonschema(),
        "output_schema": output,
        "state_schema": output,
        "config_schema": {},
        "context_schema": {},
    }
