"""The evaluator: facts first, then the judge, and one verdict."""

import json
from typing import Any

from langgraph.runtime import Runtime
from pydantic import BaseModel, Field

from db.prompts import Prompt
from graph.context import Context, Given, Grading, context_of
from graph.errors import EvaluationError, RunError, under
from graph.fence import RULE, fence
from graph.model import Answer
from graph.rules.verdict import Facts, establish
from graph.sandbox.contract import SandboxUnavailable
from graph.state import Evaluation, ExecutionReport, State, Usage

_UNASKED = Usage(calls=0, input_tokens=0, output_tokens=0)


class Marks(BaseModel):
    """The judge's marks, each from 0.0 to 1.0, and its reasons."""

    correctness: float = Field(ge=0, le=1, description="Does what was asked, 0.0 to 1.0")
    completeness: float = Field(ge=0, le=1, description="Nothing is missing, 0.0 to 1.0")
    readability: float = Field(ge=0, le=1, description="Clear at first reading, 0.0 to 1.0")
    reasons: list[str] = Field(description="A short sentence for every mark below 0.9")

    @property
    def score(self) -> float:
        """The marks as one: mostly whether it is right."""
        return 0.6 * self.correctness + 0.25 * self.completeness + 0.15 * self.readability


async def evaluator(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Give the verdict.

    Raises:
        EvaluationError: the sandbox or the judge could not do its part. That is neither a pass
            nor a fail.
    """
    context = context_of(runtime)
    prompt = await context.prompts.released("evaluator")
    with under("evaluator", prompt.version):
        facts = await _establish(state, context)
        answer = None if facts.vetoes else await _judge(context, prompt, state)
    return {
        "evaluation": verdict(facts, answer.content if answer else None, context.grading),
        "prompt_versions": {"evaluator": prompt.version},
        "usage": {"evaluator": answer.usage if answer else _UNASKED},
    }


async def _establish(state: State, context: Context) -> Facts:
    try:
        return await establish(state["code"], state["plan"], context.sandbox)
    except SandboxUnavailable as error:
        raise EvaluationError(f"the sandbox failed: {error}") from error


async def _judge(context: Context, prompt: Prompt, state: State) -> Answer[Marks]:
    """Ask the judge, once more if its first answer cannot be used."""
    message = "\n\n".join(
        (
            RULE,
            fence("request", state["request"]),
            fence("plan", json.dumps(state["plan"], indent=1)),
            fence("code", state["code"]),
        )
    )
    try:
        try:
            return await context.judge.fill(prompt.text, message, Marks)
        except RunError as first:
            if first.error_class != "output":
                raise
            return await context.judge.fill(prompt.text, message, Marks)
    except RunError as error:
        raise EvaluationError(f"the judge could not answer: {error}") from error


def verdict(facts: Facts, marks: Marks | None, grading: Grading) -> Evaluation:
    """Join facts and marks. A veto caps the score just below the threshold."""
    llm_score = marks.score if marks else None
    score = grading.rule_weight * facts.score + (1 - grading.rule_weight) * (llm_score or 0.0)
    if facts.vetoes:
        score = min(score, grading.pass_threshold - 0.01)
    execution = facts.execution
    return Evaluation(
        score=round(max(score, 0.0), 4),
        rule_score=round(facts.score, 4),
        llm_score=None if llm_score is None else round(llm_score, 4),
        passed=not facts.vetoes and round(score, 4) >= grading.pass_threshold,
        checks=facts.checks(),
        reasons=[*facts.vetoes, *(marks.reasons if marks else [])],
        execution=ExecutionReport(
            backend=execution.backend,
            status=execution.status,
            detail=execution.detail,
            seconds=round(execution.seconds, 3),
        ),
    )
