"""The worker's role: code under the live prompt, as many at once as the machine was set to."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from langgraph.runtime import Runtime

from db import prompts
from db.pool import Database
from db.prompts import Agent, Prompt
from graph.context import Context, Given, PromptStore, ReleasedPrompts
from graph.nodes.worker import worker
from graph.state import State


class _Named:
    """One version, whatever is live."""

    def __init__(self, database: Database, version: int) -> None:
        self._database = database
        self._version = version

    async def released(self, agent: Agent) -> Prompt:
        """Return it.

        Raises:
            NotFoundError: there is no such version.
        """
        async with self._database.connection() as connection:
            return await prompts.get(connection, agent, self._version)


class Writing:
    """Writes code, a limited number at once."""

    def __init__(self, database: Database, context: Context, most_at_once: int) -> None:
        self.database = database
        self._context = replace(context, worker=None)
        self._places = asyncio.Semaphore(most_at_once)

    async def write(self, state: State, key: str | None, version: int | None) -> dict[str, Any]:
        """Return what the worker's node gives: under a version, or what is live for a key.

        Raises:
            NotFoundError: there is no such version.
            RunError: the model could not do its part.
            DatabaseError: Postgres cannot be reached.
        """
        store: PromptStore = ReleasedPrompts(self.database, _thread(key))
        if version is not None:
            store = _Named(self.database, version)
        given = Given(context=replace(self._context, prompts=store))
        async with self._places:
            return await worker(state, Runtime(context=given))


def _thread(key: str | None) -> UUID | None:
    """Return what is hashed for a canary: a thread's id, or one made of any other word."""
    if key is None:
        return None
    try:
        return UUID(key)
    except ValueError:
        return uuid5(NAMESPACE_URL, key)
