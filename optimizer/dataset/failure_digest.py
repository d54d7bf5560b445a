"""What the diagnostician may see of runs and marked programs, cut to what it can use."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from selfheal.db.runs import Run
from selfheal.graph.state import Plan
from selfheal.optimizer.state import Case, Evidence

MOST: Final = 20
_LONGEST_CODE: Final = 4000
_LONGEST_TEXT: Final = 2000
_LONGEST_LINE: Final = 300
_MOST_LINES: Final = 12


def of_run(run: Run) -> Evidence:
    """Return what is shown of a run."""
    seen = {
        "plan": run.plan,
        "code": run.code,
        "evaluation": run.evaluation,
        "message": run.message,
    }
    return _of(str(run.id), run.request, run.outcome or "", seen)


def of_trial(case: Case, outcome: str, seen: Mapping[str, Any]) -> Evidence:
    """Return what is shown of a case that was tried.

    Args:
        case: the case, whose id stands for that of a run.
        outcome: as a run log would class it.
        seen: what there is of plan, code, evaluation and message; of a program that a judge was
            tried on, the judge's score as `judge`.
    """
    if "code" in case:
        return _marked(case, seen.get("judge"))
    return _of(case["id"], case["request"], outcome, seen)


def tells_of(rows: Sequence[Evidence], case: Case) -> bool:
    """Tell whether rows show a case: this very program, or a run of this very request."""
    if "code" in case:
        return any(row["run_id"] == case["id"] for row in rows)
    return any(row["request"] == case["request"][:_LONGEST_TEXT] for row in rows)


def _of(run_id: str, request: str, outcome: str, seen: Mapping[str, Any]) -> Evidence:
    evaluation = seen.get("evaluation") or {"checks": [], "reasons": [], "llm_score": None}
    message = seen.get("message")
    reasons = [*evaluation["reasons"], *([message] if message else [])]
    return Evidence(
        run_id=run_id,
        request=request[:_LONGEST_TEXT],
        plan=_plan(seen.get("plan")),
        code=(seen.get("code") or "")[:_LONGEST_CODE],
        outcome=outcome,
        checks=[
            {
                "name": each["name"],
                "score": each["score"],
                "detail": each["detail"][:_LONGEST_LINE],
            }
            for each in evaluation["checks"]
        ],
        judge=evaluation["llm_score"],
        reasons=[reason[:_LONGEST_LINE] for reason in reasons[:8]],
    )


def of_marked(cases: Sequence[Case], opinions: Mapping[str, float | None]) -> list[Evidence]:
    """Return what is shown of marked programs: those first on which the judge is most wrong."""

    def error(each: Evidence) -> float:
        return 0.0 if each["judge"] is None else abs(each["judge"] - each["deserved"])

    rows = [_marked(case, opinions.get(case["id"].partition(":")[2])) for case in cases]
    return sorted(rows, key=error, reverse=True)[:MOST]


def _marked(case: Case, score: float | None) -> Evidence:
    return Evidence(
        run_id=case["id"],
        request=case["request"][:_LONGEST_TEXT],
        plan=_plan(case["plan"]),
        code=case["code"][:_LONGEST_CODE],
        outcome="marked",
        checks=[],
        judge=score,
        deserved=case["mark"],
        reasons=[],
    )


def _plan(plan: Mapping[str, Any] | None) -> Plan | None:
    if plan is None:
        return None
    return Plan(
        title=str(plan.get("title", ""))[:_LONGEST_LINE],
        requirements=[
            str(each)[:_LONGEST_LINE] for each in plan.get("requirements", [])[:_MOST_LINES]
        ],
        signature=str(plan.get("signature", ""))[:_LONGEST_LINE],
        examples=plan.get("examples", [])[:_MOST_LINES],
    )
