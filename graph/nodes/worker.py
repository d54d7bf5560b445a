"""The worker node: from plan to code."""

import json
from typing import Any
from uuid import UUID

from langgraph.runtime import Runtime

from selfheal.app.errors import under
from selfheal.app.llm.client import Model
from selfheal.app.llm.untrusted import fence
from selfheal.db.prompts import Prompt
from selfheal.graph.context import InvocationContext, context_of
from selfheal.graph.parsing.extraction import extract
from selfheal.graph.remote import RemoteWorker
from selfheal.graph.rules.static_runner import defined_name
from selfheal.graph.sandbox.packages import Packages
from selfheal.graph.state import State


async def worker(state: State, runtime: Runtime[InvocationContext]) -> dict[str, Any]:
    """Write the code under the live prompt of the worker, in this process or in the role's.

    Raises:
        OutputError: the answer holds no code.
    """
    context = context_of(runtime)
    if context.worker is not None:
        return await _write_remotely(context.worker, state, context.thread_id)
    prompt = await context.prompts.released("worker")
    return await write(context.model, prompt, state, context.evaluator.packages)


async def write(model: Model, prompt: Prompt, state: State, packages: Packages) -> dict[str, Any]:
    """Write the code under a prompt.

    Args:
        model: the agent's model.
        prompt: of the worker.
        state: request and plan.
        packages: that the program can import.

    Returns:
        The update of the state.

    Raises:
        OutputError: the answer holds no code.
    """
    with under("worker", prompt.version):
        answer = await model.write(prompt.text, _message(state, packages), "worker")
        plan = state.get("plan")
        code, explanation = extract(
            answer.content, defined_name(plan["signature"]) if plan else None
        )
    return {
        "code": code,
        "explanation": explanation,
        "model": answer.model,
        "prompt_versions": {"worker": prompt.version},
        "usage": {"worker": answer.usage},
    }


async def _write_remotely(
    worker: RemoteWorker, state: State, thread_id: UUID | None
) -> dict[str, Any]:
    """Have the worker's role write the code; return the update of the state."""
    written = await worker.execute(state, str(thread_id) if thread_id else None)
    return {
        "code": written.code,
        "explanation": written.explanation,
        "model": written.model,
        "prompt_versions": {"worker": written.prompt_version},
        "usage": {"worker": written.usage},
    }


def _message(state: State, packages: Packages) -> str:
    parts = ["The request:", fence("request", state["request"])]
    if plan := state.get("plan"):
        parts += ["The plan made from it:", fence("plan", json.dumps(plan, indent=1))]
    parts.append(packages.described())
    return "\n\n".join(parts)
