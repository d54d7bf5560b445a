"""sample: cases from the failed runs, and an honest split."""

from typing import Any, Final
from uuid import UUID

from langgraph.runtime import Runtime

from db import healings, runs, trials
from db.runs import Run
from optimizer.cases import case_of, distinct, golden_requests, split
from optimizer.context import Given, doctor_of
from optimizer.state import Case, Evidence, State

MOST_RUNS: Final = 200
MOST_EVIDENCE: Final = 20
_LONGEST_CODE: Final = 4000
_LONGEST_TEXT: Final = 2000


async def sample(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Divide what failed into train, hold-out and regression, topped up with golden requests."""
    doctor = doctor_of(runtime)
    hold = doctor.hold(state["healing_id"])
    ids = [UUID(each) for each in state["failed_run_ids"][:MOST_RUNS]]
    async with doctor.database.connection() as connection:
        await healings.enter(connection, hold, "sample")
        failed = await runs.of_ids(connection, ids)
        if not failed:  # a forced pass over a healthy version: there is still something to read
            failed = await runs.recent(connection, limit=MOST_EVIDENCE)
        cases = [case_of(run) for run in failed]
        production = distinct(cases)
        known = [case["id"] for case in (*production, *golden_requests())]
        looks = await trials.looks(connection, hold.id, known)
        pinned = await healings.healed_cases(connection, state["agent"])
    divided = split(
        production,
        golden_requests(),
        pinned=_cases(pinned),
        looks=looks,
        order=state["healing_id"],
    )
    train = {case["id"] for case in divided["train"]}
    shown = [run for run, case in zip(failed, cases, strict=True) if case["id"] in train]
    return {"split": divided, "evidence": [_evidence(run) for run in shown[:MOST_EVIDENCE]]}


def _cases(pinned: list[dict[str, Any]]) -> list[Case]:
    return [
        Case(id=each["id"], source="production", request=each["request"], examples=each["examples"])
        for each in pinned
    ]


def _evidence(run: Run) -> Evidence:
    """Return what the diagnostician may see of a run, cut to what it can use."""
    evaluation = run.evaluation or {"checks": [], "reasons": []}
    reasons = [*evaluation["reasons"], *([run.message] if run.message else [])]
    return Evidence(
        run_id=str(run.id),
        request=run.request[:_LONGEST_TEXT],
        code=(run.code or "")[:_LONGEST_CODE],
        outcome=run.outcome or "",
        checks=[
            {"name": each["name"], "score": each["score"], "detail": each["detail"][:300]}
            for each in evaluation["checks"]
        ],
        reasons=[reason[:300] for reason in reasons[:8]],
    )
