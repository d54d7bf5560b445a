"""Which state follows lint, screening and a gate: another round, the next state, or the end."""

from collections.abc import Sequence
from typing import Final, Literal

from selfheal.optimizer.policy import screening
from selfheal.optimizer.policy.rollout_plan import falls_short, proven
from selfheal.optimizer.records.candidates import GateReport, Proposal

MOST_GATES: Final = 2
ROUNDS: Final = 2


def after_lint(
    proposals: Sequence[Proposal], round_: int, gates: Sequence[GateReport]
) -> Literal["screen", "gate", "propose", "release", "conclude"]:
    """Screen what remains; the candidate of round 0 goes to the gate as it is."""
    if not round_:
        return "gate"
    remaining = any(map(screening.remains, proposals))
    return "screen" if remaining else _next_round(round_, gates)


def after_screen(
    survivor: int | None, round_: int, gates: Sequence[GateReport]
) -> Literal["edits", "propose", "release", "conclude"]:
    """Test the survivor's edits."""
    return "edits" if survivor else _next_round(round_, gates)


def after_edits(
    survivor: int | None, round_: int, gates: Sequence[GateReport]
) -> Literal["gate", "propose", "release", "conclude"]:
    """Send what is left of the survivor to the gate."""
    return "gate" if survivor else _next_round(round_, gates)


def after_gate(
    gates: Sequence[GateReport], round_: int, expected: float | None
) -> Literal["release", "propose", "conclude"]:
    """Release or stage what was not rejected; after a rejection try once more.

    Better than broken is not healed: a candidate that was accepted and yet falls short waits for
    another round, and the better one is released.

    Args:
        gates: those so far, at least one.
        round_: the number of the present round of proposals; 0 if nothing was written yet.
        expected: the pass rate that a healed prompt is expected to reach; None if any will do.
    """
    last = gates[-1]
    if last["verdict"] != "rejected" and not (proven(gates) and falls_short(last, expected)):
        return "release"
    return _next_round(round_ if _may_retry(gates) else ROUNDS, gates)


def after_shortening_gate(
    gates: Sequence[GateReport], *, divisible: bool
) -> Literal["release", "halve", "conclude"]:
    """Release what is not inferior; after a rejection try to leave out less, once.

    Args:
        gates: those so far, at least one.
        divisible: less could be left out than what the last gate rejected.
    """
    if gates[-1]["verdict"] != "rejected":
        return "release"
    return "halve" if _may_retry(gates) and divisible else "conclude"


def _may_retry(gates: Sequence[GateReport]) -> bool:
    return len(gates) < MOST_GATES and not gates[-1]["budget_spent"]


def _next_round(
    round_: int, gates: Sequence[GateReport]
) -> Literal["propose", "release", "conclude"]:
    if round_ < ROUNDS:
        return "propose"
    return "release" if proven(gates) else "conclude"
