"""What the worker's and the evaluator's role do, each with a bound on concurrency."""

import asyncio
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from selfheal.app.llm.client import Model
from selfheal.app.llm.usage import Usage
from selfheal.db import prompts
from selfheal.db.pool import Database
from selfheal.db.prompts import Prompt
from selfheal.graph.evaluator import Evaluator, JudgePrompt, Work
from selfheal.graph.nodes.worker import write
from selfheal.graph.prompts import first_prompts
from selfheal.graph.sandbox.packages import Packages
from selfheal.graph.state import Evaluation, State


class WorkerService:
    """Writes programs.

    Args:
        packages: what the sandbox of the evaluator can import.
        concurrency: how many are written at once.
    """

    def __init__(
        self, database: Database, model: Model, packages: Packages, concurrency: int
    ) -> None:
        self._database = database
        self._model = model
        self._packages = packages
        self._slots = asyncio.Semaphore(concurrency)

    async def check(self) -> None:
        """Do what every program needs.

        Raises:
            DatabaseError: the database cannot be reached, or does not work.
        """
        await self._prompt(None, None)

    async def write(self, state: State, key: str | None, version: int | None) -> dict[str, Any]:
        """Return the update of the worker's node.

        Args:
            state: the request and the plan.
            key: the thread, which decides which version of a canary is used.
            version: a prompt version; None for the live one.

        Raises:
            NotFoundError: there is no such version.
            RunError: the model failed.
            DatabaseError: Postgres cannot be reached.
        """
        prompt = await self._prompt(key, version)
        async with self._slots:
            return await write(self._model, prompt, state, self._packages)

    async def _prompt(self, key: str | None, version: int | None) -> Prompt:
        async with self._database.connection() as connection:
            if version is not None:
                return await prompts.get(connection, "worker", version)
            return await prompts.released(connection, "worker", _thread(key))


def _thread(key: str | None) -> UUID | None:
    """Return the thread id that is hashed for a canary, derived from the key if it is none."""
    if key is None:
        return None
    try:
        return UUID(key)
    except ValueError:
        return uuid5(NAMESPACE_URL, key)


class EvaluatorService:
    """Evaluates programs.

    Args:
        concurrency: how many are evaluated at once.
    """

    def __init__(self, evaluator: Evaluator, concurrency: int) -> None:
        self._evaluator = evaluator
        self._default_prompt = JudgePrompt(1, first_prompts()["evaluator"])
        self._slots = asyncio.Semaphore(concurrency)

    async def evaluate(
        self, work: Work, prompt: JudgePrompt | None = None
    ) -> tuple[Evaluation, Usage]:
        """Return the verdict and its cost.

        Args:
            work: the request, its plan and the code to evaluate.
            prompt: the judge's prompt; None for the one that selfheal ships.

        Raises:
            EvaluationError: the sandbox or the judge failed.
        """
        used = self._default_prompt if prompt is None else prompt
        async with self._slots:
            return await self._evaluator.evaluate(work, used)
