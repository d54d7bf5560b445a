"""The worker: a plan in, code out."""

import json
from typing import Any

from langgraph.runtime import Runtime

from graph.context import Given, context_of
from graph.errors import under
from graph.extraction import extract
from graph.fence import fence
from graph.state import State


async def worker(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Write the code under the prompt that is released at this moment.

    Raises:
        OutputError: the answer holds no code.
    """
    context = context_of(runtime)
    prompt = await context.prompts.released("worker")
    with under("worker", prompt.version):
        answer = await context.model.write(prompt.text, _message(state))
        code, explanation = extract(answer.content)
    return {
        "code": code,
        "explanation": explanation,
        "model": answer.model,
        "prompt_versions": {"worker": prompt.version},
        "usage": {"worker": answer.usage},
    }


def _message(state: State) -> str:
    parts = ["The request:", fence("request", state["request"])]
    if plan := state.get("plan"):
        parts += ["The plan made from it:", fence("plan", json.dumps(plan, indent=1))]
    return "\n\n".join(parts)
