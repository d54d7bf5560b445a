"""Extracts of runs and labelled programs, for the diagnostician and for attribution by rules."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from selfheal.db.runs import Run
from selfheal.graph.state import Plan
from selfheal.optimizer.policy.failure_causes import failure_record
from selfheal.optimizer.records.cases import Case
from selfheal.optimizer.records.diagnosis import Evidence, FailureRecord

MAX_EVIDENCE: Final = 20  # runs that the diagnostician is shown
# The limits are in characters, of lists in items.
_LONGEST_CODE: Final = 4000
_LONGEST_TEXT: Final = 2000
_LONGEST_LINE: Final = 300
_MOST_LINES: Final = 12


def digest_run(run: Run) -> Evidence:
    """Return the extract of a run."""
    details = {
        "plan": run.plan,
        "code": run.code,
        "evaluation": run.evaluation,
        "message": run.message,
    }
    return _extract(str(run.id), run.request, run.outcome or "", details)


def failure_of_run(run: Run) -> FailureRecord:
    """Return what rules see of a failed run; it holds no text of the run."""
    return failure_record(
        str(run.id),
        outcome=run.outcome or "",
        request=run.request,
        plan=shown_plan(run.plan),
        code=run.code or "",
        judged=run.evaluation is not None and run.evaluation["llm_score"] is not None,
    )


def digest_trial(case: Case, outcome: str, details: Mapping[str, Any]) -> Evidence:
    """Return the extract of a trial.

    Args:
        case: the case; its id takes the place of a run's id.
        outcome: the outcome of the trial.
        details: the details of the trial's `CaseResult`.
    """
    if "code" in case:
        return _labelled(case, details.get("judge"))
    return _extract(case["id"], case["request"], outcome, details)


def covers_case(rows: Sequence[Evidence], case: Case) -> bool:
    """Tell whether evidence is about a case: this labelled program, or a run of this request."""
    if "code" in case:
        return any(row["run_id"] == case["id"] for row in rows)
    return any(row["request"] == case["request"][:_LONGEST_TEXT] for row in rows)


def _extract(run_id: str, request: str, outcome: str, details: Mapping[str, Any]) -> Evidence:
    evaluation = details.get("evaluation") or {"checks": [], "reasons": [], "llm_score": None}
    message = details.get("message")
    reasons = [*evaluation["reasons"], *([message] if message else [])]
    return Evidence(
        run_id=run_id,
        request=request[:_LONGEST_TEXT],
        plan=shown_plan(details.get("plan")),
        code=(details.get("code") or "")[:_LONGEST_CODE],
        outcome=outcome,
        checks=[
            {
                "name": check["name"],
                "score": check["score"],
                "detail": check["detail"][:_LONGEST_LINE],
            }
            for check in evaluation["checks"]
        ],
        judge=evaluation["llm_score"],
        reasons=[reason[:_LONGEST_LINE] for reason in reasons[:8]],
    )


def digest_labelled(cases: Sequence[Case], opinions: Mapping[str, float | None]) -> list[Evidence]:
    """Return extracts of labelled programs, those with the largest error of the judge first."""

    def error(row: Evidence) -> float:
        return 0.0 if row["judge"] is None else abs(row["judge"] - row["deserved"])

    rows = [_labelled(case, opinions.get(case["id"].partition(":")[2])) for case in cases]
    return sorted(rows, key=error, reverse=True)[:MAX_EVIDENCE]


def _labelled(case: Case, score: float | None) -> Evidence:
    return Evidence(
        run_id=case["id"],
        request=case["request"][:_LONGEST_TEXT],
        plan=shown_plan(case["plan"]),
        code=case["code"][:_LONGEST_CODE],
        outcome="marked",
        checks=[],
        judge=score,
        deserved=case["mark"],
        reasons=[],
    )


def shown_plan(plan: Mapping[str, Any] | None) -> Plan | None:
    """Return a plan with its texts and lists cut to the limits; None of none."""
    if plan is None:
        return None
    return Plan(
        title=str(plan.get("title", ""))[:_LONGEST_LINE],
        requirements=[
            str(requirement)[:_LONGEST_LINE]
            for requirement in plan.get("requirements", [])[:_MOST_LINES]
        ],
        signature=str(plan.get("signature", ""))[:_LONGEST_LINE],
        examples=plan.get("examples", [])[:_MOST_LINES],
    )
