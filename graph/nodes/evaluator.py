"""The evaluator: facts first, then the judge, and one verdict."""

from typing import Any

from langgraph.runtime import Runtime

from db.prompts import Prompt
from graph.context import Context, Given, context_of
from graph.errors import EvaluationError, under
from graph.judge import Judgement, case, judge
from graph.rules.facts import Facts, establish
from graph.sandbox.contract import SandboxUnavailable
from graph.state import Evaluation, State, Usage
from graph.verdict import verdict

_UNASKED = Usage(calls=0, input_tokens=0, output_tokens=0)


async def evaluator(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Give the verdict.

    Raises:
        EvaluationError: the sandbox or the judge could not do its part. That is neither a pass
            nor a fail.
    """
    context = context_of(runtime)
    prompt = await context.prompts.released("evaluator")
    with under("evaluator", prompt.version):
        evaluation, usage = await _evaluate(state, context, prompt)
    return {
        "evaluation": evaluation,
        "prompt_versions": {"evaluator": prompt.version},
        "usage": {"evaluator": usage},
    }


async def _evaluate(state: State, context: Context, prompt: Prompt) -> tuple[Evaluation, Usage]:
    facts = await _establish(state, context)
    judgement = None if facts.vetoes else await _judge(state, context, prompt, facts)
    usage = judgement.usage if judgement else _UNASKED
    return verdict(facts, judgement, context.grading), usage


async def _establish(state: State, context: Context) -> Facts:
    try:
        return await establish(state["code"], state["plan"], context.sandbox)
    except SandboxUnavailable as error:
        raise EvaluationError(f"the sandbox failed: {error}") from error


async def _judge(state: State, context: Context, prompt: Prompt, facts: Facts) -> Judgement:
    grading = context.grading
    return await judge(
        context.judge,
        prompt.text,
        case(state["request"], state["plan"], state["code"]),
        lambda llm_score: grading.total(facts.score, llm_score),
        grading.pass_threshold,
    )
