"""What a graph says while it runs, in the words of LangGraph's wire."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from langchain_core.messages import BaseMessageChunk, message_chunk_to_message
from langchain_core.runnables import RunnableConfig

from selfheal.server.api.schemas.langgraph import place

Said = tuple[str, Any]


def asked_of_the_graph(modes: Sequence[str]) -> list[str]:
    """Return the modes that a graph is asked for, so that a client gets those it asked for."""
    named = {"messages" if each == "messages-tuple" else each for each in modes}
    return sorted((named - {"events"}) | {"updates"})  # interruptions are told as updates


async def follow(
    graph: Any, start: Any, config: RunnableConfig, modes: Sequence[str], **options: Any
) -> AsyncIterator[Said]:
    """Run a graph; yield (mode, chunk) for what the client asked for.

    What a mode is called here is what the graph calls it; `events` are LangChain's own.
    """
    wanted = asked_of_the_graph(modes)
    if "events" not in modes:
        async with aclosing(graph.astream(start, config, stream_mode=wanted, **options)) as stream:
            async for mode, chunk in stream:
                yield mode, chunk
        return
    async with aclosing(
        graph.astream_events(start, config, version="v2", stream_mode=wanted, **options)
    ) as events:
        async for event in events:
            inner = event["data"].get("chunk")
            if event["event"] == "on_chain_stream" and not event["parent_ids"] and inner:
                mode, chunk = inner
                yield mode, chunk
            else:
                yield "events", event


class Teller:
    """Turns what a graph says into the events that a client asked for."""

    def __init__(self, modes: Sequence[str]) -> None:
        self._modes = frozenset(modes)
        self._messages: dict[str, Any] = {}

    def events(self, mode: str, chunk: Any) -> list[Said]:
        """Return the events for one thing that was said, as (event, data)."""
        if mode == "messages":
            return self._message(chunk)
        if mode == "debug" and chunk.get("type") == "checkpoint":
            chunk = {**chunk, "payload": checkpoint(chunk["payload"])}
        if mode == "checkpoints":
            chunk = checkpoint(chunk)
        if mode in self._modes:
            return [(mode, chunk)]
        if mode == "updates" and chunk.get("__interrupt__"):
            return [("values", chunk)] if self._modes else []
        return []

    def _message(self, chunk: Any) -> list[Said]:
        """Tell of a piece of a message as a tuple, or of the message so far."""
        message, metadata = chunk
        told: list[Said] = []
        if "messages-tuple" in self._modes:
            told.append(("messages", [_shown(message), metadata]))
        if "messages" not in self._modes:
            return told
        if message.id in self._messages:
            self._messages[message.id] += message
        else:
            self._messages[message.id] = message
            told.append(("messages/metadata", {message.id: {"metadata": metadata}}))
        so_far = self._messages[message.id]
        if isinstance(message, BaseMessageChunk):
            whole = message_chunk_to_message(so_far)
            return [*told, ("messages/partial", [_shown(whole)])]
        return [*told, ("messages/complete", [_shown(so_far)])]


def is_of(event: str, modes: Sequence[str]) -> bool:
    """Tell whether an event is of one of these stream modes; of none, any is."""
    mode = event.partition("/")[0]
    return not modes or mode in modes or (mode == "messages" and "messages-tuple" in modes)


def _shown(message: Any) -> Any:
    return message.model_dump() if hasattr(message, "model_dump") else message


def checkpoint(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint's event with its place in the words of the wire."""
    return {
        **payload,
        "checkpoint": place(payload.get("config")),
        "parent_checkpoint": place(payload.get("parent_config")),
    }
