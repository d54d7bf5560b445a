"""Which agent's prompt is the cause: decided on what was observed and tried."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Agent
from selfheal.optimizer.policy.plan_check import contradicts, follows
from selfheal.optimizer.state import AttributionEvidence, Count, Evidence

MOST_CASES: Final = 4
# The arm of each agent's last good version among the trials of this stage.
ARMS: Final[dict[Agent, int]] = {"manager": 1, "worker": 2, "evaluator": 3}
_HALF: Final = 0.5


@dataclass(frozen=True, slots=True)
class Attribution:
    """Whose prompt is healed, and why."""

    agent: Agent
    reason: Reason


def with_reverted(
    evidence: AttributionEvidence, agent: Agent, result: Count
) -> AttributionEvidence:
    """Return the evidence with the training cases that pass with an agent's last good version."""
    return {**evidence, "reverted": {**evidence["reverted"], agent: result}}


def observed(rows: Sequence[Evidence]) -> tuple[Count, Count]:
    """Return the counts `judged` and `plans` by the runs that the diagnosis saw."""
    failed = [each for each in rows if each["outcome"] == "failed"]
    off = [
        contradicts(each["request"], each["plan"]) and follows(each["code"], each["plan"])
        for each in failed
        if each["plan"] is not None
    ]
    judged = sum(each["judge"] is not None for each in failed)
    return (judged, len(failed)), (sum(off), len(off))


def next_test(evidence: AttributionEvidence) -> Agent | None:
    """Return the agent whose last good version is to be tried next; None if enough is known."""
    first = suspects(evidence)[0]
    if first == "evaluator" and _marks_decided(evidence):
        return None
    if any(_share(count) == 1 for count in evidence["reverted"].values()):
        return None  # no other could help more
    untried = (each for each in suspects(evidence) if each not in evidence["reverted"])
    return next((each for each in untried if each in evidence["revertible"]), None)


def decide(evidence: AttributionEvidence) -> Attribution:
    """Decide: a test that speaks against an agent outweighs a diagnosis, which needs no test."""
    order = suspects(evidence)
    for agent in order:
        if reason := _proof(agent, evidence):
            return Attribution(agent, reason)
    diagnosed = evidence["diagnosed"]
    if not _cleared(diagnosed, evidence):
        return Attribution(diagnosed, because("diagnosis_uncontested"))
    other: Agent = next((each for each in order if not _cleared(each, evidence)), "worker")
    return Attribution(other, because("diagnosed_agent_cleared", agent=diagnosed))


def suspects(evidence: AttributionEvidence) -> list[Agent]:
    """Return the agents in the order of suspicion; those healed in vain before come last."""
    agents: tuple[Agent, ...] = (evidence["diagnosed"], "worker", "manager", "evaluator")
    return sorted(dict.fromkeys(agents), key=lambda each: each in evidence["rejected"])


def _proof(agent: Agent, evidence: AttributionEvidence) -> Reason | None:
    """Return what proves that an agent is the cause; None if nothing does."""
    if agent == "evaluator":
        return because("judge_marks_decided") if _marks_decided(evidence) else None
    if agent in evidence["reverted"]:
        return _helped(agent, evidence)
    contradicting, seen = evidence["plans"]
    if agent == "manager" and contradicting and contradicting >= _HALF * seen:
        return because("plans_contradict_requests", plans=contradicting, of=seen)
    return None


def _helped(agent: Agent, evidence: AttributionEvidence) -> Reason | None:
    """Return a reason if an agent's last good version helps, and more than the others' do."""
    passed, of = evidence["reverted"][agent]
    others = [count for each, count in evidence["reverted"].items() if each != agent]
    if _share((passed, of)) < _HALF or any(_share(each) >= passed / of for each in others):
        return None
    return because("last_good_version_passes", passed=passed, of=of)


def _cleared(agent: Agent, evidence: AttributionEvidence) -> bool:
    """Tell whether a test was made that should have shown an agent's fault, and did not."""
    if agent == "evaluator":
        return not _marks_decided(evidence)
    if agent in evidence["reverted"]:
        others = [count for each, count in evidence["reverted"].items() if each != agent]
        own = _share(evidence["reverted"][agent])
        return own < _HALF or any(_share(each) > own for each in others)
    return False


def _marks_decided(evidence: AttributionEvidence) -> bool:
    """Tell whether a drifted judge's marks decided; where nothing failed, they may have."""
    decided, seen = evidence["judged"]
    return evidence["judge_low"] and decided >= _HALF * seen


def _share(count: Count) -> float:
    return count[0] / count[1] if count[1] else 0.0
