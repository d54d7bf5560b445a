"""lint: reject candidates that break a rule of form before they are tried."""

import asyncio
from collections.abc import Sequence

from langgraph.runtime import Runtime

from selfheal.db.reasons import because
from selfheal.optimizer.context import RuntimeContext, optimizer_context
from selfheal.optimizer.guardrails.lint import LintReference, violations
from selfheal.optimizer.guardrails.reference import load_reference
from selfheal.optimizer.records.candidates import Proposal
from selfheal.optimizer.records.cases import GENERATED
from selfheal.optimizer.state import State


async def lint(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Reject proposals that break a rule of form. A version that was live before is exempt."""
    reference = await load_reference(optimizer_context(runtime), state, state["agent"])
    # Checking untrusted texts takes up to a second: not in the event loop.
    checked = await asyncio.to_thread(_checked, state["proposals"], reference)
    return State(proposals=checked, anchor=reference.anchor)


def _checked(proposals: Sequence[Proposal], reference: LintReference) -> list[Proposal]:
    """Return the proposals, those rejected that break a rule."""
    checked: list[Proposal] = []
    for each in proposals:
        proposal = each
        if not each["fate"] and each["origin"] in GENERATED:
            others = [other["text"] for other in checked]
            if found := violations(each["text"], reference, others):
                reason = because("breaks_prompt_rules", violations=found)
                proposal = {**each, "fate": "lint", "reason": reason}
        checked.append(proposal)
    return checked
