"""lint: what may not even be tried."""

import asyncio
from collections.abc import Sequence
from typing import Any

from langgraph.runtime import Runtime

from selfheal.optimizer.context import Given, doctor_of
from selfheal.optimizer.guardrails.lint import LintReference, violations
from selfheal.optimizer.guardrails.reference import load_reference
from selfheal.optimizer.state import WRITTEN, Proposal, State


async def lint(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Reject proposals that break a rule of form. A version that was live before may stand."""
    ground = await load_reference(doctor_of(runtime), state, state["agent"])
    # Texts of models and of strangers take a second to look through: not in the event loop.
    checked = await asyncio.to_thread(_checked, state["proposals"], ground)
    return {"proposals": checked, "anchor": ground.anchor}


def _checked(proposals: Sequence[Proposal], ground: LintReference) -> list[Proposal]:
    """Return the proposals, those rejected that break a rule."""
    checked: list[Proposal] = []
    for each in proposals:
        if not each["fate"] and each["origin"] in WRITTEN:
            others = [other["text"] for other in checked]
            if found := violations(each["text"], ground, others):
                each = Proposal(**{**each, "fate": "lint", "reason": "; ".join(found)})  # noqa: PLW2901
        checked.append(each)
    return checked
