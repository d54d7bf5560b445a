"""The first version of each agent's prompt, for a new database."""

from importlib.resources import files
from typing import get_args

from selfheal.db.types import Agent


def first_prompts() -> dict[Agent, str]:
    """Return version 1 of each agent's prompt, from `graph/prompts/<agent>.md`."""
    folder = files("selfheal.graph") / "prompts"
    return {
        agent: (folder / f"{agent}.md").read_text(encoding="utf-8").strip()
        for agent in get_args(Agent)
    }
