"""What rules see of the cause of a failed run: manager, worker, or neither.

All failed runs are looked at, held-out ones too: counting by rules shows no model what is in them.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from selfheal.graph.state import Plan
from selfheal.optimizer.policy.plan_check import contradicts, follows, names
from selfheal.optimizer.records.cases import Count
from selfheal.optimizer.records.diagnosis import FailureCause, FailureRecord

# Numbers and quoted texts are left out: in a request they are often those of an example.
_EXCEPTION: Final = re.compile(r"\b[A-Z]\w{0,60}(?:Error|Exception)\b")


def failure_record(
    run_id: str,
    *,
    outcome: str,
    request: str,
    plan: Plan | None,
    code: str,
    judged: bool,
) -> FailureRecord:
    """Return what rules see of a failed run.

    Args:
        run_id: the run.
        outcome: `failed`, or `output` for an answer that could not be used.
        request: the request's text.
        plan: the manager's plan; None if it gave no usable one.
        code: the worker's program; empty if its answer held none.
        judged: the judge scored it, so that no check forbade a pass.
    """
    cause = _cause(outcome, request, plan, code)
    return FailureRecord(run_id=run_id, cause=cause, judged=judged and outcome == "failed")


def _cause(outcome: str, request: str, plan: Plan | None, code: str) -> FailureCause:
    if plan is None:
        return "plan_unusable"
    if outcome == "output":
        return "answer_unusable"
    if contradicts(request, plan):
        return "plan_contradicts" if follows(code, plan) else "unclear"
    if names(plan) and not follows(code, plan):
        return "plan_ignored"
    return "plan_omits" if omits(request, plan, code) else "unclear"


def omits(request: str, plan: Plan, code: str) -> bool:
    """Tell whether an exception that a request asks for is neither in its plan nor in the code.

    Where the code has it, the omission did no harm.
    """
    asked = set(_EXCEPTION.findall(request))
    if not asked:
        return False
    raised = [str(each.get("raises", "")) for each in plan.get("examples") or []]
    texts = (plan.get("title"), *(plan.get("requirements") or []), plan.get("signature"), *raised)
    planned = "\n".join(map(str, texts))
    return any(each not in planned and each not in code for each in asked)


def cause_counts(failures: Sequence[FailureRecord]) -> dict[FailureCause, int]:
    """Return how many failures have which cause."""
    return dict(sorted(Counter(each["cause"] for each in failures).items()))


def decided_by_marks(failures: Sequence[FailureRecord]) -> Count:
    """Return how many failures the judge's marks decided, of how many."""
    return sum(each["judged"] for each in failures), len(failures)
