"""Which agent's prompt is to blame: a pure decision over what was observed and tried."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from selfheal.db.types import Agent
from selfheal.optimizer.policy.plan_check import contradicts, follows

MOST_CASES: Final = 4
# The arm of each agent's last good version among the trials of this stage.
ARMS: Final[dict[Agent, int]] = {"manager": 1, "worker": 2, "evaluator": 3}
_HALF: Final = 0.5

Count = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for and against each agent. A count is (so many, of so many).

    Attributes:
        diagnosed: whom the diagnostician blames.
        judge_low: the judge agrees on clearly too few golden verdicts.
        judged: failed runs in which no fact forbade a pass, so that the judge's marks decided.
        plans: runs whose plan contradicts what was stated, though the worker did what it says.
        revertible: agents whose last good version is known, and is not live.
        reverted: train cases that pass with an agent's last good version.
        rejected: agents for whose live version no better one was found, not long ago.
    """

    diagnosed: Agent
    judge_low: bool = False
    judged: Count = (0, 0)
    plans: Count = (0, 0)
    revertible: tuple[Agent, ...] = ()
    reverted: Mapping[Agent, Count] = field(default_factory=dict)
    rejected: tuple[Agent, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it for the receipt."""
        return asdict(self)

    def having(self, agent: Agent, result: Count) -> "Evidence":
        """Return it with what an agent's last good version came to."""
        return replace(self, reverted={**self.reverted, agent: result})


@dataclass(frozen=True, slots=True)
class Blame:
    """Whose prompt is healed, and why."""

    agent: Agent
    reason: str


def observed(rows: Sequence[Mapping[str, Any]]) -> tuple[Count, Count]:
    """Return what `judged` and `plans` are by the runs that the diagnostician saw."""
    failed = [each for each in rows if each["outcome"] == "failed"]
    off = [
        contradicts(each["request"], each["plan"]) and follows(each["code"], each["plan"])
        for each in failed
        if each["plan"] is not None
    ]
    judged = sum(each["judge"] is not None for each in failed)
    return (judged, len(failed)), (sum(off), len(off))


def next_test(evidence: Evidence) -> Agent | None:
    """Return the agent whose last good version is to be tried next; None if enough is known."""
    first = suspects(evidence)[0]
    if first == "evaluator" and _marks_decided(evidence):
        return None
    if any(_share(count) == 1 for count in evidence.reverted.values()):
        return None  # no other could help more
    untried = (each for each in suspects(evidence) if each not in evidence.reverted)
    return next((each for each in untried if each in evidence.revertible), None)


def decide(evidence: Evidence) -> Blame:
    """Decide: a test that speaks against an agent outweighs a diagnosis, which needs no test."""
    order = suspects(evidence)
    for agent in order:
        if reason := _proof(agent, evidence):
            return Blame(agent, reason)
    if not _cleared(evidence.diagnosed, evidence):
        return Blame(evidence.diagnosed, "the diagnosis says so, and nothing speaks against it")
    other: Agent = next((each for each in order if not _cleared(each, evidence)), "worker")
    return Blame(other, f"the {evidence.diagnosed}, whom the diagnosis names, was cleared")


def suspects(evidence: Evidence) -> list[Agent]:
    """Return the agents in the order of suspicion; those tried in vain come last."""
    agents: tuple[Agent, ...] = (evidence.diagnosed, "worker", "manager", "evaluator")
    return sorted(dict.fromkeys(agents), key=lambda each: each in evidence.rejected)


def _proof(agent: Agent, evidence: Evidence) -> str:
    """Say what proves that an agent is to blame, or nothing."""
    if agent == "evaluator":
        if not _marks_decided(evidence):
            return ""
        return "the judge agrees on too few golden verdicts, and its marks decided these runs"
    if agent in evidence.reverted:
        return _helped(agent, evidence)
    contradicting, seen = evidence.plans
    if agent == "manager" and contradicting and contradicting >= _HALF * seen:
        return f"{contradicting} of {seen} plans contradict what was stated, and were followed"
    return ""


def _helped(agent: Agent, evidence: Evidence) -> str:
    """Say that an agent's last good version helps, and more than the others' do; or nothing."""
    passed, of = evidence.reverted[agent]
    others = [count for each, count in evidence.reverted.items() if each != agent]
    if _share((passed, of)) < _HALF or any(_share(each) >= passed / of for each in others):
        return ""
    return f"with its last good version {passed} of {of} train cases pass"


def _cleared(agent: Agent, evidence: Evidence) -> bool:
    """Tell whether a test was made that should have shown an agent's fault, and did not."""
    if agent == "evaluator":
        return not _marks_decided(evidence)
    if agent in evidence.reverted:
        others = [count for each, count in evidence.reverted.items() if each != agent]
        own = _share(evidence.reverted[agent])
        return own < _HALF or any(_share(each) > own for each in others)
    return False


def _marks_decided(evidence: Evidence) -> bool:
    """Tell whether an unsound judge's marks decided; where nothing failed, they may have."""
    decided, seen = evidence.judged
    return evidence.judge_low and decided >= _HALF * seen


def _share(count: Count) -> float:
    return count[0] / count[1] if count[1] else 0.0
