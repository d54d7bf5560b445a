"""The lint reference of a healing: its trusted prompts and the untrusted text of its runs."""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, Final

from selfheal.db import prompts
from selfheal.db.types import Agent
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.guardrails.lint import LintReference
from selfheal.optimizer.guardrails.origin import UntrustedRun
from selfheal.optimizer.records.diagnosis import Evidence
from selfheal.optimizer.state import State

AUTHOR: Final = "optimizer"  # the author of versions that a healing wrote
_TRUSTED_KEYS: Final[frozenset[Any]] = frozenset({"run_id", "outcome", "name", "origin"})
# The detail of a check is written by the check or by Python. What it quotes of the request or of
# the program is in these as well, but a program can compose a text as it runs: so a detail counts
# where long copies are looked for, and not where the origin of single words is.
_DETAILS: Final = frozenset({"detail"})


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
        state.get("evidence_tenants", []),
        "\n\n".join([await _anchor(context, agent, live[agent]["version"]) for agent in agents]),
    )


def reference_from_evidence(
    agent: Agent,
    incumbent: str,
    evidence: Sequence[Evidence],
    tenants: Sequence[int],
    anchor: str,
) -> LintReference:
    """Return the reference for given evidence. Pure, so that the lint can be verified.

    Args:
        agent: the agent of the reference.
        incumbent: the trusted prompts.
        evidence: what the diagnosis was given.
        tenants: a number for the tenant of each run; empty if unknown.
        anchor: the newest prompts that the optimizer did not write.
    """
    logs = list(_untrusted_texts(evidence))
    known = tenants if len(tenants) == len(evidence) else [0] * len(evidence)
    runs = [
        UntrustedRun(row["request"], list(_untrusted_texts(row, _DETAILS)), tenant)
        for row, tenant in zip(evidence, known, strict=True)
    ]
    return LintReference(agent, incumbent, logs, runs, anchor)


async def _anchor(context: OptimizerContext, agent: Agent, version: int) -> str:
    """Return the newest text up to a version that was not written by the optimizer."""
    async with context.database.connection() as connection:
        known = {prompt.version: prompt for prompt in await prompts.versions(connection, agent)}
    at = known[version]
    while at.author == AUTHOR and at.parent is not None:
        at = known[at.parent]
    return at.text


def _untrusted_texts(value: object, without: Set[Any] = frozenset()) -> Iterator[str]:
    """Yield all strings in the evidence but those that this service sets itself."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key not in _TRUSTED_KEYS and key not in without:
                yield from _untrusted_texts(item, without)
    elif isinstance(value, list):
        for item in value:
            yield from _untrusted_texts(item, without)
