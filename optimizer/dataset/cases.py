"""Cases of logged runs and of golden requests."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import cast

from selfheal.db.golden_requests import GoldenRequest
from selfheal.db.runs import Run
from selfheal.graph.state import Example, Plan
from selfheal.optimizer.dataset.split import digest
from selfheal.optimizer.state import Case
from selfheal.optimizer.text.similarity import words


@cache
def golden_requests() -> tuple[Case, ...]:
    """Return the project's own requests, each with executable examples; never shown in train."""
    lines = (files("selfheal.optimizer.dataset") / "golden" / "requests.jsonl").read_text(
        encoding="utf-8"
    )
    return tuple(
        Case(
            id=f"golden:{each['id']}",
            source="golden",
            request=each["request"],
            examples=each["examples"],
        )
        for each in map(json.loads, lines.splitlines())
    )


def own_case(kept: GoldenRequest) -> Case:
    """Make a case of a golden request of the operator's own."""
    examples = [_example(each) for each in kept.examples]
    return Case(
        id=f"golden:own:{kept.id}", source="golden", request=kept.request, examples=examples
    )


def case_of(run: Run) -> Case:
    """Make a case of a logged run; the same request makes the same case, whenever it is logged."""
    examples = [_example(each) for each in run.examples]
    case = Case(
        id=f"run:{digest(json.dumps([words(run.request), examples]))[:16]}",
        source="production",
        request=run.request,
        examples=examples,
    )
    if run.plan is not None:
        case["plan"] = cast("Plan", run.plan)
    return case


def _example(logged: Mapping[str, str]) -> Example:
    if "raises" in logged:
        return Example(call=logged["call"], raises=logged["raises"])
    return Example(call=logged["call"], returns=logged["returns"])
