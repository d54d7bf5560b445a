"""The lint reference of a healing: its trusted prompts and the untrusted text of its runs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from selfheal.db import prompts
from selfheal.db.types import Agent
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.guardrails.lint import LintReference
from selfheal.optimizer.state import Evidence, State

AUTHOR: Final = "optimizer"  # the author of versions that a healing wrote
_TRUSTED_KEYS: Final[frozenset[Any]] = frozenset({"run_id", "outcome", "name", "origin"})


async def load_reference(context: OptimizerContext, state: State, *agents: Agent) -> LintReference:
    """Return the reference for candidates of one agent, or for findings about several.

    Args:
        context: the optimizer's context.
        state: the state of the healing, with incumbents and evidence.
        agents: the agents whose prompts are trusted; the first one is the agent of the reference.
    """
    live = state["incumbents"]
    return reference_from_evidence(
        agents[0],
        "\n\n".join(live[agent]["text"] for agent in agents),
        state["evidence"],
        "\n\n".join([await _anchor(context, agent, live[agent]["version"]) for agent in agents]),
    )


def reference_from_evidence(
    agent: Agent, incumbent: str, evidence: Sequence[Evidence], anchor: str
) -> LintReference:
    """Return the reference for given evidence. Pure, so that the lint can be verified."""
    return LintReference(agent, incumbent, list(_untrusted_texts(evidence)), anchor)


async def _anchor(context: OptimizerContext, agent: Agent, version: int) -> str:
    """Return the newest text up to a version that was not written by the optimizer."""
    async with context.database.connection() as connection:
        known = {prompt.version: prompt for prompt in await prompts.versions(connection, agent)}
    at = known[version]
    while at.author == AUTHOR and at.parent is not None:
        at = known[at.parent]
    return at.text


def _untrusted_texts(value: object) -> Iterator[str]:
    """Yield all strings in the evidence but those that this service sets itself."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key not in _TRUSTED_KEYS:
                yield from _untrusted_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _untrusted_texts(item)
