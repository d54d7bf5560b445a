"""Makes cases of logged runs and of golden requests."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, cast

from selfheal.db.golden_requests import GoldenRequest
from selfheal.db.runs import Run
from selfheal.graph.state import Example, Plan
from selfheal.optimizer.dataset.split import OWN, digest
from selfheal.optimizer.records.cases import Case
from selfheal.optimizer.text.similarity import words

_RUN: Final = "run:"  # begins the id of a case that was made of a run
PRODUCTION: Final = "production"  # the kind of cases of which no finer one is known


def golden_rows(file: str) -> list[dict[str, Any]]:
    """Return the rows of a shipped JSONL file of golden cases."""
    text = (files("selfheal.optimizer.dataset") / "golden" / file).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@cache
def golden_requests() -> tuple[Case, ...]:
    """Return the shipped golden requests as cases, with executable examples; never train cases."""
    return tuple(
        Case(
            id=f"golden:{row['id']}",
            source="golden",
            request=row["request"],
            examples=row["examples"],
            kind=row["kind"],
        )
        for row in golden_rows("requests.jsonl")
    )


def case_from_golden_request(golden: GoldenRequest) -> Case:
    """Make a case of a golden request that the operator added."""
    examples = [_example(example) for example in golden.examples]
    return Case(
        id=f"{OWN}{golden.id}",
        source="golden",
        request=golden.request,
        examples=examples,
        kind=PRODUCTION,
    )


def case_from_run(run: Run) -> Case:
    """Make a case of a logged run; its id is a hash, so equal requests make equal cases."""
    examples = [_example(example) for example in run.examples]
    case = Case(
        id=f"{_RUN}{digest(json.dumps([words(run.request), examples]))[:16]}",
        source="production",
        request=run.request,
        examples=examples,
        kind=PRODUCTION,
    )
    if run.plan is not None:
        case["plan"] = cast("Plan", run.plan)
    return case


def production_ids(ids: Iterable[str]) -> list[str]:
    """Return those ids that are of cases made of runs, in their order."""
    return [each for each in ids if each.startswith(_RUN)]


def _example(logged: Mapping[str, str]) -> Example:
    if "raises" in logged:
        return Example(call=logged["call"], raises=logged["raises"])
    return Example(call=logged["call"], returns=logged["returns"])
