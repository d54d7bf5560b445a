"""How a healing ends: pure, by what its states found, so that it can be recomputed."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from selfheal.db.healings import Outcome
from selfheal.optimizer.evaluation.judge_drift import DriftCheck
from selfheal.optimizer.policy.ablation import nothing_goes
from selfheal.optimizer.rollout.release import Action, Plan
from selfheal.optimizer.state import Proposal, Unjudged

_OUTCOMES: Final[Mapping[Action, Outcome]] = {
    "release": "promoted",
    "canary": "canary",
    "stage": "needs_approval",
}

_MANY: Final = 0.5  # of the trials: from here on their fault is part of the reason


class Ending(NamedTuple):
    """An outcome, and why."""

    outcome: Outcome
    reason: str


def frozen(judge: DriftCheck) -> Ending:
    """End without healing, by what was found of a judge that has drifted, or never was sound."""
    why = "the judge has drifted" if judge.drifted else "the judge is not to be relied on"
    return Ending("frozen", f"{why}: {judge.summary()}")


def lean(proposals: Sequence[Proposal], unjudged: Unjudged | None = None) -> Ending:
    """End a diet in which no sentence can go."""
    return Ending("healthy", nothing_goes(proposals) + _cause(unjudged))


def released(planned: Plan, gate_reason: str) -> Ending:
    """End with what was planned for the candidate that the gate did not reject."""
    staged = planned.action == "stage"
    reason = f"{planned.reason}: {gate_reason}" if staged else planned.reason
    return Ending(_OUTCOMES[planned.action], reason)


def void(why: str) -> Ending:
    """End because another version went live while the proof was running."""
    return Ending("rejected", f"the proof is void: {why}")


def rejected(
    gates: Sequence[Mapping[str, Any]],
    proposals: Sequence[Proposal],
    unjudged: Unjudged | None = None,
) -> Ending:
    """End without a candidate that the gate let pass.

    Args:
        gates: what each gate has come to.
        proposals: the candidates, with what became of them.
        unjudged: the trials without a verdict: if they are many, they are the cause.
    """
    if gates:
        return Ending("rejected", gates[-1]["reason"] + _cause(unjudged))
    if not proposals:
        return Ending("rejected", "no prompt was found that seemed better")
    fates = {each["fate"] for each in proposals}
    stage = "the screen" if "screen" in fates else "lint"
    return Ending("rejected", f"no candidate came through {stage}{_cause(unjudged)}")


def _cause(unjudged: Unjudged | None) -> str:
    """Return what is behind an ending that too few verdicts brought about; else nothing."""
    if not unjudged or not unjudged["count"] or unjudged["count"] < _MANY * unjudged["of"]:
        return ""
    return f"; {without_verdict(unjudged)}"


def without_verdict(unjudged: Unjudged) -> str:
    """Say how many trials gave no verdict, and why the first of them gave none."""
    first = f", the first: {unjudged['first']}" if unjudged["first"] else ""
    return f"{unjudged['count']} of {unjudged['of']} trials gave no verdict{first}"


def gave_up(before: Outcome | None, why: str) -> Ending:
    """End by a fault of the optimizer's own, or for want of budget: what was done stays done.

    Args:
        before: the outcome that was decided on before, if it came so far.
        why: the fault, in words.
    """
    return Ending(before or "rejected", why)
