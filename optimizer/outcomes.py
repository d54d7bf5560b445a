"""How a healing ends: pure functions of what its states found, so that it can be recomputed."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from selfheal.app.errors import RunError
from selfheal.db.healings import Outcome
from selfheal.db.reasons import Reason, because
from selfheal.optimizer.budget import BudgetSpentError
from selfheal.optimizer.policy.ablation import nothing_removable
from selfheal.optimizer.records.candidates import (
    GateReport,
    Keeping,
    PlannedRelease,
    Proposal,
    ReleaseAction,
    Unjudged,
)
from selfheal.optimizer.records.judge import JudgeFinding

_OUTCOMES: Final[Mapping[ReleaseAction, Outcome]] = {
    "release": "promoted",
    "canary": "canary",
    "stage": "needs_approval",
}

_MANY: Final = 0.5  # of the trials: from here on their errors are part of the reason


class Ending(NamedTuple):
    """The outcome of a healing, and why."""

    outcome: Outcome
    reason: Reason


def frozen(judge: JudgeFinding) -> Ending:
    """End without healing, by what is known of a judge whose flag stands."""
    return Ending("frozen", distrust(judge))


def distrust(judge: JudgeFinding) -> Reason:
    """Return why a judge is not to be relied on, by the check that raised its flag.

    Raises:
        ValueError: no flag stands.
    """
    flag = judge["flag"]
    if flag is None:
        raise ValueError("the judge has no flag")
    if flag["usual"] is None:
        return because(
            "judge_unreliable",
            model=judge["model"],
            agreed=flag["agreed"],
            asked=flag["asked"],
            prompt_version=judge["prompt_version"],
        )
    usually_agreed, usually_asked = flag["usual"]
    return because(
        "judge_drifted",
        model=judge["model"],
        agreed=flag["agreed"],
        asked=flag["asked"],
        prompt_version=judge["prompt_version"],
        usually_agreed=usually_agreed,
        usually_asked=usually_asked,
    )


def nothing_to_shorten(proposals: Sequence[Proposal], unjudged: Unjudged | None = None) -> Ending:
    """End where no sentence of a prompt can be left out."""
    return Ending("healthy", _with_cause(nothing_removable(proposals), unjudged))


def released(planned: PlannedRelease, gate_reason: Reason) -> Ending:
    """End with what was planned for the candidate that the gate did not reject."""
    if planned["void"]:
        return Ending("rejected", because("proof_void", cause=planned["void"]))
    reason = planned["reason"]
    if planned["action"] == "stage":
        reason = because("staged", plan=reason, gate=gate_reason)
    return Ending(_OUTCOMES[planned["action"]], reason)


def kept(keeping: Sequence[Keeping]) -> Ending | None:
    """End by what was decided of a candidate that the gate did not accept.

    Args:
        keeping: the decisions so far.

    Returns:
        None where none was kept: the healing continues as after any other gate. A candidate that
        was kept before, and is no longer, ends it: there is nothing else in such a healing.
    """
    if not keeping:
        return None
    last = keeping[-1]
    if last["kept"]:
        return Ending("collecting", last["reason"])
    return Ending("rejected", last["reason"]) if last["incumbent"] is None else None


def rejected(
    gates: Sequence[GateReport],
    proposals: Sequence[Proposal],
    unjudged: Unjudged | None = None,
) -> Ending:
    """End without a candidate that passed the gate.

    Args:
        gates: what each gate has come to.
        proposals: the candidates, with what became of them.
        unjudged: the trials without a verdict: if they are many, they are the cause.
    """
    if gates:
        return Ending("rejected", _with_cause(gates[-1]["reason"], unjudged))
    if not proposals:
        return Ending("rejected", because("no_candidates"))
    fates = {each["fate"] for each in proposals}
    reason = because("no_candidate_passed_lint")
    if "screen" in fates:
        reason = because("no_candidate_passed_screening")
    if "edits" in fates:
        reason = because("no_candidate_passed_edits")
    return Ending("rejected", _with_cause(reason, unjudged))


def gave_up(before: Outcome | None, why: Reason) -> Ending:
    """End by an error of the optimizer's own, or for want of budget: what was done stays done.

    Args:
        before: the outcome that was decided on before, if it came so far.
        why: the error.
    """
    return Ending(before or "rejected", why)


def failure_reason(error: BudgetSpentError | RunError) -> Reason:
    """Return why a healing cannot go on: the budget is used up, or the model failed."""
    if isinstance(error, BudgetSpentError):
        return because("budget_exhausted")
    return because("model_failed", message=str(error))


def _with_cause(decision: Reason, unjudged: Unjudged | None) -> Reason:
    """Return a decision, with what is behind it where most trials gave no verdict."""
    if not unjudged or not unjudged["count"] or unjudged["count"] < _MANY * unjudged["of"]:
        return decision
    return because(
        "many_trials_without_verdict",
        decision=decision,
        trials=unjudged["count"],
        of=unjudged["of"],
        first=unjudged["first"],
    )
