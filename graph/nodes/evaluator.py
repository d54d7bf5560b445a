"""The evaluator node: from code to verdict."""

from typing import Any

from langgraph.runtime import Runtime

from selfheal.app.errors import under
from selfheal.graph.context import InvocationContext, context_of
from selfheal.graph.evaluator import JudgePrompt, Work
from selfheal.graph.state import State


async def evaluator(state: State, runtime: Runtime[InvocationContext]) -> dict[str, Any]:
    """Evaluate the code under the live prompt of the evaluator.

    Raises:
        EvaluationError: the sandbox or the judge failed; neither a pass nor a fail.
        RequestError: the program failed because the sandbox lacks what the request asks for.
    """
    context = context_of(runtime)
    prompt = await context.prompts.released("evaluator")
    work = Work(state["request"], state["plan"], state["code"])
    with under("evaluator", prompt.version):
        judge_prompt = JudgePrompt(prompt.version, prompt.text)
        evaluation, usage = await context.evaluator.evaluate(work, judge_prompt)
    return {
        "evaluation": evaluation,
        "prompt_versions": {"evaluator": prompt.version},
        "usage": {"evaluator": usage},
    }
