"""Rules that look at how the program ran: it runs, and its examples hold."""

from collections.abc import Iterator, Sequence

from selfheal.graph.rules.examples import Answer
from selfheal.graph.rules.weights import Finding
from selfheal.graph.sandbox.protocol import Execution

_FAULTS = {"error", "timeout", "memory", "output", "killed"}
_SHOWN = 3


def observe(execution: Execution, answers: Sequence[Answer]) -> Iterator[Finding]:
    """Yield what running the program showed; nothing, where it could not be run."""
    if execution.status == "not_run":
        return
    yield _runs(execution)
    for name, stated in (("examples", True), ("inferred_examples", False)):
        found = [each for each in answers if each.stated is stated]
        if found:
            yield _held(name, found)


def _runs(execution: Execution) -> Finding:
    if execution.status in _FAULTS:
        return Finding("runs", 0.0, execution.detail, veto=True)
    return Finding("runs", 1.0)


def _held(name: str, answers: Sequence[Answer]) -> Finding:
    """Give the share of examples that hold; a stated one that is broken forbids a pass."""
    broken = [each.words for each in answers if each.state != "held"]
    return Finding(
        name,
        1 - len(broken) / len(answers),
        "; ".join(broken[:_SHOWN]),
        veto=bool(broken) and name == "examples",
    )
