"""The built-in proposer: asks the writer for two candidates a round, each in another style."""

import json
from typing import Final

from selfheal.app.aio import gather_all
from selfheal.app.llm.untrusted import RULE, fence
from selfheal.optimizer.instructions import load
from selfheal.optimizer.proposers.base import CandidateText, ProposalRequest

EDIT_STYLES: Final = (
    "Make bounded edits: keep the sentences that work, change those that do not.",
    "If the prompt is beyond repair, rewrite it from the ground up for the same job.",
)


class PromptWriter:
    """Writes candidates from the findings alone; it runs no cases."""

    async def propose(self, request: ProposalRequest) -> list[CandidateText]:
        """Ask the writer for one candidate in each style."""
        return await gather_all(*(write(request, style) for style in EDIT_STYLES))


async def write(request: ProposalRequest, style: str) -> CandidateText:
    """Ask the writer for one candidate.

    Args:
        request: the incumbent, its findings and the candidates that were rejected.
        style: one of `EDIT_STYLES`.

    Raises:
        RunError: the writer gave no usable answer.
        BudgetSpentError: the budget does not cover the call.
    """
    findings = [*request.findings["root_causes"], *request.findings["suggestions"]]
    parts = [
        RULE,
        f"This is the {request.agent}'s prompt. {style}",
        fence("prompt", request.incumbent),
        "What the diagnostician found:",
        fence("findings", json.dumps(findings, indent=1)),
    ]
    if request.rejected:
        parts += [
            "These were rejected; write something else:",
            fence("rejected", json.dumps(list(request.rejected), indent=1)),
        ]
    return await request.toolkit.fill(load("write"), "\n\n".join(parts), CandidateText)
