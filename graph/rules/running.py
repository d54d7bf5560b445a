"""Rules that look at the execution: it runs, and its examples hold."""

import builtins
from collections.abc import Iterator

from graph.rules.comparing import asked, holds
from graph.rules.table import Finding, Subject
from graph.sandbox.contract import CallResult, Execution
from graph.sandbox.values import shown
from graph.state import PlannedExample

_FAULTS = {"error", "timeout", "memory", "output", "killed"}
_MOST_KINDS = 2  # what descends from more was made to match whatever is expected


def observe(subject: Subject) -> Iterator[Finding]:
    """Yield what running the program showed; nothing, where it could not be run."""
    execution = subject.execution
    if execution.status == "not_run":
        return
    yield _runs(execution)
    results = {result.call: result for result in execution.results}
    for name, origin in (("examples", "stated"), ("inferred_examples", "inferred")):
        examples = [each for each in subject.plan["examples"] if each["origin"] == origin]
        if examples:
            yield _held(name, examples, results)


def _runs(execution: Execution) -> Finding:
    if execution.status in _FAULTS:
        return Finding("runs", 0.0, execution.detail, veto=True)
    return Finding("runs", 1.0)


def _held(name: str, examples: list[PlannedExample], results: dict[str, CallResult]) -> Finding:
    """Give the share of examples that hold; a stated one that is broken forbids a pass."""
    broken = [
        words for each in examples if (words := _broken(each, results.get(asked(each)))) is not None
    ]
    return Finding(
        name,
        1 - len(broken) / len(examples),
        "; ".join(broken[:3]),
        veto=bool(broken) and name == "examples",
    )


def _broken(example: PlannedExample, result: CallResult | None) -> str | None:
    """Say how an example is broken, or None if it holds."""
    call = example["call"]
    if result is None:
        return f"{call} was not reached"
    wanted = example.get("raises")
    if wanted is not None:
        return _not_raised(call, wanted, result)
    if result.raised is not None:
        return f"{call} raised {result.raised[0]}: {result.message}"
    if holds(example, result.value):
        return None
    return f"{call} returned {shown(result.value, 120)}, not {example['returns']}"


def _not_raised(call: str, wanted: str, result: CallResult) -> str | None:
    """Match the exception by the name of its class or of one that it descends from."""
    if result.raised is None:
        return f"{call} returned {shown(result.value, 120)}, did not raise {wanted}"
    if (kinds := _kinds(result.raised)) > _MOST_KINDS:
        return f"{call} raised {result.raised[0]}, which is {kinds} kinds of exception at once"
    if wanted.rpartition(".")[2] in result.raised:
        return None
    return f"{call} raised {result.raised[0]}, not {wanted}"


def _kinds(raised: tuple[str, ...]) -> int:
    """Count the built-in exceptions that an exception is, those apart that others imply."""
    known = [vars(builtins).get(name) for name in raised]
    classes = [each for each in known if isinstance(each, type)]
    return sum(
        not any(each is not other and issubclass(other, each) for other in classes)
        for each in classes
    )
