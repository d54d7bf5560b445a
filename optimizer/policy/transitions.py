"""Which state follows lint, screening and a gate: another round, the next state, or the end."""

from collections.abc import Sequence
from typing import Final, Literal

from selfheal.optimizer.state import GateReport, Proposal

MOST_GATES: Final = 2
ROUNDS: Final = 2


def after_lint(
    proposals: Sequence[Proposal], round_: int
) -> Literal["screen", "propose", "conclude"]:
    """Screen what is not rejected yet."""
    remaining = any(not each["fate"] for each in proposals)
    return "screen" if remaining else _next_round(round_)


def after_screen(survivor: int | None, round_: int) -> Literal["edits", "propose", "conclude"]:
    """Test the survivor's edits."""
    return "edits" if survivor else _next_round(round_)


def after_edits(survivor: int | None, round_: int) -> Literal["gate", "propose", "conclude"]:
    """Send what is left of the survivor to the gate."""
    return "gate" if survivor else _next_round(round_)


def after_gate(
    gates: Sequence[GateReport], round_: int
) -> Literal["release", "propose", "conclude"]:
    """Release or stage what was not rejected; after a rejection try once more.

    Args:
        gates: those so far, at least one.
        round_: the number of the present round of proposals, from 1.
    """
    if gates[-1]["verdict"] != "rejected":
        return "release"
    return _next_round(round_) if _may_retry(gates) else "conclude"


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


def _next_round(round_: int) -> Literal["propose", "conclude"]:
    return "propose" if round_ < ROUNDS else "conclude"
