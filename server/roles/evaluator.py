"""The evaluator's role: as many verdicts at once as the machine was set to give."""

import asyncio

from selfheal.app.llm.usage import Usage
from selfheal.graph.evaluator import Evaluator, JudgePrompt, Work
from selfheal.graph.prompts import first_prompts
from selfheal.graph.state import Evaluation


class Evaluating:
    """Gives verdicts, a limited number at once."""

    def __init__(self, evaluator: Evaluator, most_at_once: int) -> None:
        self._evaluator = evaluator
        self._own_prompt = JudgePrompt(1, first_prompts()["evaluator"])
        self._places = asyncio.Semaphore(most_at_once)

    async def evaluate(
        self, work: Work, prompt: JudgePrompt | None = None
    ) -> tuple[Evaluation, Usage]:
        """Return the verdict and its cost, under a judge's prompt or the one that selfheal has.

        Raises:
            EvaluationError: the sandbox or the judge could not do its part.
        """
        used = self._own_prompt if prompt is None else prompt
        async with self._places:
            return await self._evaluator.evaluate(work, used)
