"""What becomes of a candidate that the gate did not reject, and whether it heals."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Agent
from selfheal.optimizer.policy.superiority import DEAD_RATE
from selfheal.optimizer.records.candidates import GateReport, ReleaseAction
from selfheal.optimizer.records.detection import Detection
from selfheal.optimizer.statistics import MARGIN, share_interval

UNKNOWN_RATE: Final = 0.6
"""The pass rate that a healed prompt reaches where no good version shows a higher one."""


class Plan(NamedTuple):
    """What becomes of a proven candidate, and why."""

    action: ReleaseAction
    reason: Reason


def expected_pass_rate(agent: Agent, detection: Detection | None) -> float | None:
    """Return the pass rate, 0 to 1, that a healed prompt is expected to reach; None if any will do.

    It is that of the last good version less the margin of the non-inferiority test, since the
    gate's cases are not production's; .6 without one. A judge's cases are labelled programs, which
    no record of runs compares with.

    Args:
        agent: whose prompt it is.
        detection: why the healing was opened; None where a prompt is to be shortened.
    """
    if detection is None:
        return None
    usual = detection["usual"]
    if usual is None or agent == "evaluator":
        return UNKNOWN_RATE
    return round(usual["passed"] / usual["runs"] - MARGIN, 4)


def falls_short(gate: GateReport, expected: float | None) -> bool:
    """Tell whether a candidate clearly passes fewer of its gate's cases than is expected.

    Clearly: the upper end of the exact 95 % interval of its pass rate is below it.
    """
    pairs = gate["pair_results"]
    passed = sum(pair["candidate_passed"] for pair in pairs)
    return expected is not None and share_interval(passed, len(pairs))[1] < expected


def proven(gates: Sequence[GateReport]) -> bool:
    """Tell whether a gate accepted its candidate."""
    return any(gate["verdict"] == "accepted" for gate in gates)


def decisive_gate(gates: Sequence[GateReport]) -> GateReport:
    """Return the gate whose candidate is planned for: of the accepted ones the best, or the last.

    Args:
        gates: those of the healing, at least one.
    """
    accepted = [gate for gate in gates if gate["verdict"] == "accepted"]
    return max(accepted, key=lambda gate: gate["candidate_rate"], default=gates[-1])


def plan(
    rollout: str,
    agent: Agent,
    gate: GateReport,
    expected: float | None,
    held: Reason | None = None,
) -> Plan:
    """Decide what becomes of a candidate that the gate did not reject.

    Args:
        rollout: `instant`, `canary` or `manual`.
        agent: whose prompt it is. A judge has no canary: scores of two judges do not compare.
        gate: the candidate's. One that is `undecided` is never released automatically.
        expected: the pass rate that a healed prompt is expected to reach; None if any will do.
        held: why its edits have to be approved; None if they need not be.
    """
    planned = _plan(rollout, agent, gate, held)
    if not falls_short(gate, expected):
        return planned
    reason = because(
        "better_but_not_healed",
        plan=planned.reason,
        rate=gate["candidate_rate"],
        expected=expected,
    )
    return Plan(planned.action, reason)


def _plan(rollout: str, agent: Agent, gate: GateReport, held: Reason | None) -> Plan:
    if gate["verdict"] != "accepted":
        return Plan("stage", because("evidence_insufficient"))
    if held:
        return Plan("stage", held)
    if rollout == "manual":
        return Plan("stage", because("manual_rollout"))
    if rollout == "instant" or agent == "evaluator":
        return Plan("release", because("instant_rollout"))
    if gate["incumbent_rate"] <= DEAD_RATE:
        return Plan("release", because("incumbent_hardly_passes"))
    return Plan("canary", because("canary_first", rate=gate["incumbent_rate"]))
