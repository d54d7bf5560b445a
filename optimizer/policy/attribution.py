"""Which prompt is the cause, manager's or worker's: decided on what was observed and tried.

The evaluator's is decided before, by the check of the judge (judge_drift.py): a judge that is
calibrated is not the cause, and by one that is not nothing is tried.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Agent
from selfheal.optimizer.records.cases import Count
from selfheal.optimizer.records.diagnosis import AttributionEvidence, FailureCause

MOST_CASES: Final = 4
LEAST_TRIALS: Final = 4  # with fewer cases each is tried more often
# The arm of each agent's earlier version among the trials of this stage.
ARMS: Final[dict[Agent, int]] = {"manager": 1, "worker": 2}
_CAUSES: Final[dict[Agent, tuple[FailureCause, ...]]] = {
    "manager": ("plan_contradicts", "plan_omits"),
    "worker": ("plan_ignored",),
}
_HALF: Final = 0.5


@dataclass(frozen=True, slots=True)
class Attribution:
    """Whose prompt is healed, and why."""

    agent: Agent
    reason: Reason


def takes(cases: int) -> int:
    """Return how often each of so many cases is tried, so that there are at least 4 trials."""
    return -(-LEAST_TRIALS // cases) if cases else 0


def with_reverted(
    evidence: AttributionEvidence, agent: Agent, result: Count
) -> AttributionEvidence:
    """Return the evidence with the trials that pass with an agent's earlier version."""
    return {**evidence, "reverted": {**evidence["reverted"], agent: result}}


def next_test(evidence: AttributionEvidence) -> Agent | None:
    """Return the agent whose earlier version is to be tried next; None if enough is known."""
    if _unusable(evidence):
        return None
    if any(_share(count) == 1 for count in evidence["reverted"].values()):
        return None  # no other could help more
    untried = [each for each in suspects(evidence) if each not in evidence["reverted"]]
    known = next((each for each in untried if each in evidence["revertible"]), None)
    if known or _by_rules(evidence):
        return known  # a version that may be broken too is tried only where rules do not decide
    return next((each for each in untried if each in evidence["replaceable"]), None)


def decide(evidence: AttributionEvidence) -> Attribution:
    """Decide: what was tried outweighs what rules count, and both outweigh the diagnosis."""
    if unusable := _unusable(evidence):
        return unusable
    order = suspects(evidence)
    for agent in order:
        if reason := _helped(agent, evidence):
            return Attribution(agent, reason)
    counted = _by_rules(evidence)
    if counted and not _failed_test(counted.agent, evidence):
        return counted
    diagnosed = evidence["diagnosed"]
    if diagnosed in order and not _cleared(diagnosed, evidence):
        return Attribution(diagnosed, because("diagnosis_uncontested"))
    other: Agent = next((each for each in order if not _cleared(each, evidence)), "worker")
    return Attribution(other, because("diagnosed_agent_cleared", agent=diagnosed))


def suspects(evidence: AttributionEvidence) -> list[Agent]:
    """Return manager and worker in the order of suspicion; one healed in vain before is last."""
    agents: tuple[Agent, ...] = (evidence["diagnosed"], "worker", "manager")
    suspected = [each for each in dict.fromkeys(agents) if each in ARMS]
    return sorted(suspected, key=lambda each: each in evidence["rejected"])


def _unusable(evidence: AttributionEvidence) -> Attribution | None:
    """Attribute failures to the author of unusable answers, if they are half or more.

    A plan that could be used clears the manager, a plan that could not be used the worker.
    """
    for agent, cause in _UNUSABLE.items():
        count, of = evidence["causes"].get(cause, 0), _failures(evidence)
        if count and count >= _HALF * of:
            reason = because("answers_unusable", agent=agent, answers=count, of=of)
            return Attribution(agent, reason)
    return None


_UNUSABLE: Final[dict[Agent, FailureCause]] = {
    "manager": "plan_unusable",
    "worker": "answer_unusable",
}


def _by_rules(evidence: AttributionEvidence) -> Attribution | None:
    """Attribute failures to the agent that rules find to be the cause of half or more."""
    of = _failures(evidence)
    for agent in suspects(evidence):
        counted = sum(evidence["causes"].get(cause, 0) for cause in _CAUSES[agent])
        if counted and counted >= _HALF * of:
            return Attribution(agent, _rule_reason(agent, evidence["causes"], counted, of))
    return None


def _rule_reason(agent: Agent, causes: Mapping[FailureCause, int], counted: int, of: int) -> Reason:
    if agent == "worker":
        return because("answers_ignore_plans", answers=counted, of=of)
    omitting = causes.get("plan_omits", 0)
    return because("plans_contradict_requests", plans=counted - omitting, omitting=omitting, of=of)


def _failures(evidence: AttributionEvidence) -> int:
    return sum(evidence["causes"].values())


def _helped(agent: Agent, evidence: AttributionEvidence) -> Reason | None:
    """Return a reason if an agent's earlier version helps, and more than the others' do."""
    if agent not in evidence["reverted"]:
        return None
    passed, of = evidence["reverted"][agent]
    if _share((passed, of)) < _HALF or any(
        _share(each) >= passed / of for each in _others(agent, evidence)
    ):
        return None
    return because("last_good_version_passes", passed=passed, of=of)


def _failed_test(agent: Agent, evidence: AttributionEvidence) -> bool:
    """Tell whether an agent's last good version was tried, and did not help.

    Of an earlier version that is not known to be good this says nothing: it may be broken too.
    """
    if agent not in evidence["reverted"] or agent not in evidence["revertible"]:
        return False
    own = _share(evidence["reverted"][agent])
    return own < _HALF or any(_share(each) > own for each in _others(agent, evidence))


def _cleared(agent: Agent, evidence: AttributionEvidence) -> bool:
    """Tell whether something speaks against an agent's being the cause."""
    counted = _by_rules(evidence)
    helped = any(_helped(each, evidence) for each in ARMS if each != agent)
    return _failed_test(agent, evidence) or helped or bool(counted and counted.agent != agent)


def _others(agent: Agent, evidence: AttributionEvidence) -> list[Count]:
    return [count for each, count in evidence["reverted"].items() if each != agent]


def _share(count: Count) -> float:
    return count[0] / count[1] if count[1] else 0.0
