"""lint: what may not even be tried."""

from typing import Any

from langgraph.runtime import Runtime

from optimizer.context import Given
from optimizer.lint import breaches
from optimizer.state import Proposal, State


async def lint(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Reject proposals that break a rule of form. A version that was live before may stand."""
    logs = [
        text
        for each in state["evidence"]
        for text in (each["request"], each["code"], *each["reasons"])
    ]
    checked: list[Proposal] = []
    for each in state["proposals"]:
        if not each["fate"] and each["origin"] == "writer":
            others = [other["text"] for other in checked]
            if found := breaches(each["text"], state["incumbent"]["text"], others, logs):
                each = Proposal(**{**each, "fate": "lint", "reason": "; ".join(found)})  # noqa: PLW2901
        checked.append(each)
    return {"proposals": checked}
