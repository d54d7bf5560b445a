"""Our own proposer: the writer, asked twice a round, each time in another manner."""

import json
from typing import Final

from selfheal.app.aio import gather_all
from selfheal.app.llm.untrusted import RULE, fence
from selfheal.optimizer.instructions import load
from selfheal.optimizer.proposers.base import Brief, Draft

MANNERS: Final = (
    "Make bounded edits: keep the sentences that work, change those that do not.",
    "If the prompt is beyond repair, rewrite it from the ground up for the same job.",
)


class Writer:
    """Writes from the findings alone, and tries nothing."""

    async def propose(self, brief: Brief) -> list[Draft]:
        """Ask the writer once in each manner."""
        return await gather_all(*(write(brief, manner) for manner in MANNERS))


async def write(brief: Brief, manner: str) -> Draft:
    """Ask the writer for one candidate.

    Raises:
        RunError: it gave no usable answer.
        BudgetSpentError: there is nothing left to pay it from.
    """
    said = [*brief.findings["root_causes"], *brief.findings["suggestions"]]
    parts = [
        RULE,
        f"This is the {brief.agent}'s prompt. {manner}",
        fence("prompt", brief.incumbent),
        "What the diagnostician found:",
        fence("findings", json.dumps(said, indent=1)),
    ]
    if brief.rejected:
        parts += [
            "These were rejected; write something else:",
            fence("rejected", json.dumps(list(brief.rejected), indent=1)),
        ]
    return await brief.means.fill(load("write"), "\n\n".join(parts), Draft)
