"""The worker's role: code under the live prompt, as many at once as the machine was set to."""

import asyncio
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from selfheal.app.llm.client import Model
from selfheal.db import prompts
from selfheal.db.pool import Database
from selfheal.db.prompts import Prompt
from selfheal.graph.nodes.worker import write
from selfheal.graph.sandbox.packages import Packages
from selfheal.graph.state import State


class Writing:
    """Writes code, a limited number at once."""

    def __init__(
        self, database: Database, model: Model, packages: Packages, most_at_once: int
    ) -> None:
        self._database = database
        self._model = model
        self._packages = packages
        self._places = asyncio.Semaphore(most_at_once)

    async def check(self) -> None:
        """Do what every program needs.

        Raises:
            DatabaseError: the database cannot be reached, or does not work.
        """
        await self._prompt(None, None)

    async def write(self, state: State, key: str | None, version: int | None) -> dict[str, Any]:
        """Return what the worker's node gives: under a version, or what is live for a key.

        Raises:
            NotFoundError: there is no such version.
            RunError: the model could not do its part.
            DatabaseError: Postgres cannot be reached.
        """
        prompt = await self._prompt(key, version)
        async with self._places:
            return await write(self._model, prompt, state, self._packages)

    async def _prompt(self, key: str | None, version: int | None) -> Prompt:
        async with self._database.connection() as connection:
            if version is not None:
                return await prompts.get(connection, "worker", version)
            return await prompts.released(connection, "worker", _thread(key))


def _thread(key: str | None) -> UUID | None:
    """Return what is hashed for a canary: a thread's id, or one made of any other word."""
    if key is None:
        return None
    try:
        return UUID(key)
    except ValueError:
        return uuid5(NAMESPACE_URL, key)
