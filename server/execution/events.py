"""The events of a run: from what its graph streams to what is stored for clients."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final

from langchain_core.messages import BaseMessageChunk, message_chunk_to_message
from langchain_core.runnables import RunnableConfig

from selfheal.app.aio import stop
from selfheal.db import claims, run_events
from selfheal.db.claims import Claim
from selfheal.db.pool import Connection, Database
from selfheal.server.serialization import checkpoint_ref, dumps

StreamEvent = tuple[str, Any]
"""The name and the data of an event."""

_BATCH: Final = 500  # events that are stored in one transaction, at most


def graph_modes(modes: Sequence[str]) -> list[str]:
    """Return the stream modes that a graph is run with, for those that a client requested."""
    requested = {"messages" if each == "messages-tuple" else each for each in modes}
    return sorted((requested - {"events"}) | {"updates"})  # interrupts are reported as updates


async def stream(
    graph: Any, start: Any, config: RunnableConfig, modes: Sequence[str], **options: Any
) -> AsyncIterator[StreamEvent]:
    """Run a graph.

    Args:
        graph: the compiled graph.
        start: its input; None to continue from the thread's state.
        config: where it runs.
        modes: the stream modes that the client requested.
        options: other arguments of `astream`.

    Yields:
        The graph's own mode and chunk; `events` and an event of LangChain's.
    """
    graph_stream_modes = graph_modes(modes)
    if "events" not in modes:
        async with aclosing(
            graph.astream(start, config, stream_mode=graph_stream_modes, **options)
        ) as chunks:
            async for mode, chunk in chunks:
                yield mode, chunk
        return
    async with aclosing(
        graph.astream_events(start, config, version="v2", stream_mode=graph_stream_modes, **options)
    ) as events:
        async for event in events:
            inner = event["data"].get("chunk")
            if event["event"] == "on_chain_stream" and not event["parent_ids"] and inner:
                mode, chunk = inner
                yield mode, chunk
            else:
                yield "events", event


class EventFormatter:
    """Turns a graph's chunks into the events of LangGraph's API that a client requested."""

    def __init__(self, modes: Sequence[str]) -> None:
        self._modes = frozenset(modes)
        self._messages: dict[str, Any] = {}

    def events(self, mode: str, chunk: Any) -> list[StreamEvent]:
        """Return the events for one chunk, which may be none."""
        if mode == "messages":
            return self._message(chunk)
        if mode == "debug" and chunk.get("type") == "checkpoint":
            chunk = {**chunk, "payload": _checkpoint(chunk["payload"])}
        if mode == "checkpoints":
            chunk = _checkpoint(chunk)
        if mode in self._modes:
            return [(mode, chunk)]
        if mode == "updates" and chunk.get("__interrupt__"):
            return [("values", chunk)] if self._modes else []
        return []

    def _message(self, chunk: Any) -> list[StreamEvent]:
        """Return a message chunk as a tuple, and as the message up to now."""
        message, metadata = chunk
        events: list[StreamEvent] = []
        if "messages-tuple" in self._modes:
            events.append(("messages", [_dumped(message), metadata]))
        if "messages" not in self._modes:
            return events
        if message.id in self._messages:
            self._messages[message.id] += message
        else:
            self._messages[message.id] = message
            events.append(("messages/metadata", {message.id: {"metadata": metadata}}))
        up_to_now = self._messages[message.id]
        if isinstance(message, BaseMessageChunk):
            whole = message_chunk_to_message(up_to_now)
            return [*events, ("messages/partial", [_dumped(whole)])]
        return [*events, ("messages/complete", [_dumped(up_to_now)])]


def _dumped(message: Any) -> Any:
    return message.model_dump() if hasattr(message, "model_dump") else message


def _checkpoint(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint's event with the checkpoint's id as LangGraph's API has it."""
    return {
        **payload,
        "checkpoint": checkpoint_ref(payload.get("config")),
        "parent_checkpoint": checkpoint_ref(payload.get("parent_config")),
    }


class EventWriter:
    """Stores a run's events in order and in batches, as long as the claim is this process's.

    Args:
        enabled: whether events are stored at all; without stream modes there are no readers.
    """

    def __init__(self, database: Database, claim: Claim, *, enabled: bool) -> None:
        self._database = database
        self._claim = claim
        self._enabled = enabled
        self._last = claim.last_event
        self._pending: list[tuple[str, str]] = []
        self._writing: asyncio.Task[None] | None = None

    def write(self, event: str, data: Any) -> None:
        """Store an event soon.

        Raises:
            DatabaseError: an earlier event could not be stored.
        """
        if not self._enabled:
            return
        self._pending.append((event, dumps(data)))
        if self._writing is None or self._writing.done():
            if self._writing is not None:
                self._writing.result()
            self._writing = asyncio.create_task(self._write())

    async def flush(self) -> None:
        """Wait until all events are stored.

        Raises:
            ClaimLostError: another process has claimed the run.
            DatabaseError: Postgres cannot be reached or refused.
        """
        if self._writing is not None:
            await self._writing
        if self._pending:
            await self._write()

    async def _write(self) -> None:
        while self._pending:
            batch, self._pending = self._pending[:_BATCH], self._pending[_BATCH:]
            await self._database.run(partial(self._append, batch))
            self._last += len(batch)

    async def _append(self, batch: list[tuple[str, str]], connection: Connection) -> None:
        await claims.hold(connection, self._claim)
        await run_events.append(connection, self._claim.id, self._last, batch)

    async def stop(self) -> None:
        """Stop storing. Events that were not flushed may be lost; another attempt repeats them."""
        if self._writing is not None:
            await stop(self._writing)
