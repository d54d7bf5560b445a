"""What texts of the optimizer's models are held against: prompts by people, words of strangers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from selfheal.db import prompts
from selfheal.db.types import Agent
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.guardrails.lint import Ground
from selfheal.optimizer.state import Evidence, State

AUTHOR: Final = "optimizer"


async def ground_of(doctor: OptimizerContext, state: State, *agents: Agent) -> Ground:
    """Return the ground for a prompt of an agent, or for findings about several."""
    live = state["incumbents"]
    return ground(
        agents[0],
        "\n\n".join(live[agent]["text"] for agent in agents),
        state["evidence"],
        "\n\n".join([await _anchor(doctor, agent, live[agent]["version"]) for agent in agents]),
    )


def ground(agent: Agent, incumbent: str, evidence: Sequence[Evidence], anchor: str) -> Ground:
    """Return the ground that what the diagnostician saw makes: pure, so it can be made again."""
    return Ground(agent, incumbent, list(_said(evidence)), anchor)


async def _anchor(doctor: OptimizerContext, agent: Agent, version: int) -> str:
    """Return the last prompt up to a version that a person wrote."""
    async with doctor.database.connection() as connection:
        known = {each.version: each for each in await prompts.versions(connection, agent)}
    at = known[version]
    while at.author == AUTHOR and at.parent is not None:
        at = known[at.parent]
    return at.text


def _said(value: object) -> Iterator[str]:
    """Yield all texts in what the diagnostician saw; whoever may have had a hand in them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if key not in _OURS:
                yield from _said(each)
    elif isinstance(value, list):
        for each in value:
            yield from _said(each)


_OURS: Final[frozenset[Any]] = frozenset({"run_id", "outcome", "name", "origin"})
