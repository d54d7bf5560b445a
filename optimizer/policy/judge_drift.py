"""Judge drift: whether a judge still agrees with the golden verdicts as it did at first.

Each judge, a model under a version of the evaluator's prompt, is compared with its *anchor*: its
first checks that were sound, pooled. Later checks never move it, so a judge that changes a little
every day does not take its own reference along. A significant loss raises a *flag*, which stays
until the judge agrees as before in full checks of two days, or until an operator lifts it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from selfheal.db.types import Agent
from selfheal.optimizer.distributions import beta_binomial_at_most, binomial_at_most
from selfheal.optimizer.records.cases import Count
from selfheal.optimizer.records.judge import JudgeFinding, SoundCheck

PARTS: Final = 3  # a check asks the golden verdicts in thirds, each with all kinds
ANCHOR_CHECKS: Final = 10  # the first sound checks of a judge, pooled
SUSPECT_BELOW: Final = 0.01  # a lower p-value asks the next third
FLAG_BELOW: Final = 1e-5  # a lower p-value raises the flag
FLOOR: Final = 0.75  # no judge is expected to agree on a smaller share
RECOVERED_FROM: Final = 0.05  # the quantile of the anchor that lifts the flag, reached twice
_APART: Final = timedelta(hours=20)  # two checks of that many hours are of two days
_HALF: Final = 0.5

Stage = Literal["continue", "sound", "flagged"]
Consequence = Literal["heal", "heal_evaluator", "freeze"]


@dataclass(frozen=True, slots=True)
class FullCheck:
    """A check that asked all golden verdicts while a flag stood, with its time."""

    agreed: int
    asked: int
    at: datetime


def pooled(checks: Sequence[SoundCheck]) -> Count | None:
    """Return the summed counts of checks, as (agreed, asked); None without any."""
    if not checks:
        return None
    agreed = sum(check["agreed"] for check in checks)
    return agreed, sum(check["asked"] for check in checks)


def p_value(found: Count, anchor: Count | None) -> float:
    """Return the probability of so little agreement of a judge that has not changed.

    It is the smaller of two tails: against the anchor, whose own uncertainty counts
    (beta-binomial), and against the floor (binomial).

    Args:
        found: the agreement, as (agreed, asked).
        anchor: that of the anchor; None if there is none.
    """
    agreed, asked = found
    below_floor = binomial_at_most(agreed, asked, FLOOR)
    if anchor is None:
        return below_floor
    return min(below_floor, beta_binomial_at_most(agreed, asked, *anchor))


def raises_flag(found: Count, anchor: Count | None, *, complete: bool) -> bool:
    """Tell whether an agreement raises the flag.

    It does at p < 1e-5; with all golden verdicts asked, below the floor at p < .01 too.

    Args:
        found: the agreement, as (agreed, asked).
        anchor: that of the anchor; None if there is none.
        complete: all golden verdicts were asked.
    """
    below_floor = complete and p_value(found, None) < SUSPECT_BELOW
    return below_floor or p_value(found, anchor) < FLAG_BELOW


def after_part(parts: Sequence[Count], anchor: Count | None) -> Stage:
    """Decide what follows a third of a check: the next third, or the result.

    Args:
        parts: the agreement on each third asked so far, as (agreed, asked).
        anchor: that of the anchor; None if there is none.
    """
    found, complete = total(parts), len(parts) == PARTS
    if raises_flag(found, anchor, complete=complete):
        return "flagged"
    return "sound" if complete or p_value(found, anchor) >= SUSPECT_BELOW else "continue"


def total(parts: Sequence[Count]) -> Count:
    """Return the summed counts of the parts of a check, as (agreed, asked)."""
    return sum(agreed for agreed, _ in parts), sum(asked for _, asked in parts)


def recovers(found: Count, anchor: Count | None) -> bool:
    """Tell whether a full check reaches the 5 % quantile of the anchor, and of the floor."""
    return p_value(found, anchor) >= RECOVERED_FROM


def lifts_flag(checks: Sequence[FullCheck], anchor: Count | None) -> bool:
    """Tell whether a flag ends by itself: the newest full checks, of two days, all recover.

    Args:
        checks: the full checks since the flag was raised, newest first.
        anchor: that of the anchor; None if there is none.
    """
    for check in checks:
        if not recovers((check.agreed, check.asked), anchor):
            return False
        if checks[0].at - check.at >= _APART:
            return True
    return False


def must_ask(*, marks: Count, requested: Agent | None, shortening: bool, recorded: bool) -> bool:
    """Tell whether a healing has to ask a judge that was not checked within a day.

    A judge whose marks decided no failure has not caused any. It is asked all the same if it has a
    record that is not renewed daily (no scheduler runs): candidates are judged by it.

    Args:
        marks: failures that the judge's marks decided, of how many.
        requested: the agent that the healing was requested for, if any.
        shortening: the healing is to shorten a prompt, which no failure triggers.
        recorded: it has an anchor.
    """
    decided, failures = marks
    unknown = decided > 0 or failures == 0
    return unknown or requested == "evaluator" or shortening or recorded


def consequence(
    judge: JudgeFinding, marks: Count, requested: Agent | None, *, shortening: bool = False
) -> Consequence:
    """Decide what a healing does about its judge.

    No candidate of manager or worker is judged by a judge that is known to be unreliable: either
    the evaluator's prompt is the cause, or nothing is healed. A candidate of the evaluator is
    compared with golden verdicts, which needs no judge.

    Args:
        judge: what is known of the judge.
        marks: failures that the judge's marks decided, of how many.
        requested: the agent that the healing was requested for, if any.
        shortening: the healing is to shorten a prompt.
    """
    if (flag := judge["flag"]) is None:
        return "heal"
    if shortening or requested in ("manager", "worker"):
        return "freeze"
    if requested == "evaluator":
        return "heal_evaluator"
    decided, failures = marks
    if flag["usual"] is not None:  # the cause is a new prompt, or else the model has changed
        return "freeze" if judge["sound_version"] is None else "heal_evaluator"
    return "heal_evaluator" if decided >= _HALF * failures else "freeze"
