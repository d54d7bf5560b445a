"""What becomes of a candidate that the gate did not reject."""

from typing import NamedTuple

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Agent
from selfheal.optimizer.policy.superiority import DEAD_RATE
from selfheal.optimizer.state import ReleaseAction, Verdict


class Plan(NamedTuple):
    """What becomes of a proven candidate, and why."""

    action: ReleaseAction
    reason: Reason


def plan(
    rollout: str,
    agent: Agent,
    verdict: Verdict,
    incumbent_rate: float,
    held: Reason | None = None,
) -> Plan:
    """Decide what becomes of a candidate that the gate did not reject.

    Args:
        rollout: `instant`, `canary` or `manual`.
        agent: whose prompt it is. A judge has no canary: scores of two judges do not compare.
        verdict: the gate's: `accepted`, or `undecided`, which is never released automatically.
        incumbent_rate: the share of its gate cases that the incumbent passed, 0 to 1.
        held: why its edits have to be approved; None if they need not be.
    """
    if verdict != "accepted":
        return Plan("stage", because("evidence_insufficient"))
    if held:
        return Plan("stage", held)
    if rollout == "manual":
        return Plan("stage", because("manual_rollout"))
    if rollout == "instant" or agent == "evaluator":
        return Plan("release", because("instant_rollout"))
    if incumbent_rate <= DEAD_RATE:
        return Plan("release", because("incumbent_hardly_passes"))
    return Plan("canary", because("canary_first", rate=incumbent_rate))
