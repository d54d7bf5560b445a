"""What becomes of a release by the results of its runs: canary and watch. Pure functions."""

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, NamedTuple

from selfheal.db.reasons import Code, Reason, because
from selfheal.db.types import Agent, AnswerStats, Release, VersionStats
from selfheal.optimizer.policy.unusable_answers import NO_ANSWERS, made_unusable
from selfheal.optimizer.statistics import (
    MARGIN,
    Bounds,
    difference,
    difference_from_record,
    excess,
)

LEAST_RUNS: Final = 5
ENOUGH_RUNS: Final = 20
LEAST_OLD_RUNS: Final = 10
ERRORS_AT: Final = 0.01
# How often equals may be rolled back, at most. Scores are skewed, so that the bounds are not exact:
# docs/healing.md section 8 has the rates that were simulated.
CANARY_ALPHA: Final = 0.01
WATCH_ALPHA: Final = 0.03
WATCH_Z: Final = 2.7
CANARY_FOR: Final = timedelta(hours=24)
WATCH_FOR: Final = timedelta(days=7)
WATCH_RUNS: Final = 200
# A canary that is otherwise as good waits for approval beyond these ratios to the version before.
MOST_TOKENS: Final = 1.5
MOST_LATENCY: Final = 1.5
LEAST_PRICED: Final = 8  # passing runs a version, to compare tokens
LEAST_TIMED: Final = 200  # runs a version, to compare 95th percentiles
SCORED: Final[tuple[Agent, ...]] = ("manager", "worker")  # scores of two judges do not compare
GUARDS: Final[tuple[Code, ...]] = ("canary_more_tokens", "canary_slower")
Action = Literal["promote", "take_back", "hold", "wait"]


@dataclass(frozen=True, slots=True)
class ReleaseStatus:
    """A release, and how its version and the one before it have done.

    Attributes:
        new: results of the released version; of agents outside SCORED they are not compared.
        old: results of the version before it.
        age: since the release.
        answers: whether the answers of the released version could be used.
        answers_before: the same of the version before it.
        held: the guard for which the canary waits for approval; None if it does not.
    """

    release: Release
    new: VersionStats
    old: VersionStats
    age: timedelta
    answers: AnswerStats = NO_ANSWERS
    answers_before: AnswerStats = NO_ANSWERS
    held: Reason | None = None


class MonitorDecision(NamedTuple):
    """What to do with a release, and why.

    `take_back` rolls it back. `hold` leaves it as it is: a canary at its share, until it is
    approved or rejected.
    """

    action: Action
    reason: Reason


def decide(status: ReleaseStatus) -> MonitorDecision:
    """Decide what becomes of a release."""
    if worse := made_unusable(status.answers, status.answers_before) or _worse(status):
        if status.release.pinned:
            return MonitorDecision("hold", because("pinned_but_worse", cause=worse))
        return MonitorDecision("take_back", worse)
    if status.release.percent < 100:
        return _decide_canary(status)
    return MonitorDecision("wait", because("watched"))


def watch_ended(release: Release, runs: int, age: timedelta) -> bool:
    """Tell whether a release to all threads has been watched for long enough."""
    return release.percent == 100 and (runs >= WATCH_RUNS or age >= WATCH_FOR)


def _worse(status: ReleaseStatus) -> Reason | None:
    """Return in what the results are worse beyond chance; None if they are not."""
    new, old = status.new, status.old
    if status.release.agent not in SCORED or min(new.runs, old.runs) < LEAST_RUNS:
        return None
    if status.release.percent == 100:
        # The past had other outages and another load: of it only scores compare.
        return _lower_than_record(new, old)
    bounds = difference(new, old, CANARY_ALPHA)
    if bounds.upper < 0:
        return _lower_scores(bounds)
    both = (new.runs + new.errors, old.runs + old.errors)
    if min(both) < ENOUGH_RUNS:
        return None
    if new.errors * both[1] > 2 * old.errors * both[0] and (
        excess(new.errors, both[0], old.errors, both[1]) < ERRORS_AT
    ):
        return because("more_errors", errors=new.errors, runs=both[0], before=old.errors)
    return None


def _lower_than_record(new: VersionStats, old: VersionStats) -> Reason | None:
    if old.runs < LEAST_OLD_RUNS:
        return None
    bounds = difference_from_record(new, old, WATCH_ALPHA, WATCH_Z)
    return _lower_scores(bounds) if bounds.upper < 0 else None


def _lower_scores(bounds: Bounds) -> Reason:
    return because("worse_scores", by=-bounds.mean, at_least=-bounds.upper)


def _decide_canary(status: ReleaseStatus) -> MonitorDecision:
    new, old = status.new, status.old
    if status.held:
        return MonitorDecision("hold", status.held)
    bounds = difference(new, old)
    if min(new.runs, old.runs) >= ENOUGH_RUNS and bounds.lower > -MARGIN:
        return _guarded(status, _scores("canary_scores", new, bounds))
    if status.age < CANARY_FOR:
        return MonitorDecision("wait", _scores("canary_scores", new, bounds))
    if bounds.mean >= 0 and new.runs >= LEAST_OLD_RUNS:
        return _guarded(status, _scores("canary_not_worse_in_a_day", new, bounds))
    return MonitorDecision("hold", _scores("canary_undecided", new, bounds))


def _guarded(status: ReleaseStatus, reason: Reason) -> MonitorDecision:
    """Promote a canary whose scores are good enough, unless it costs or takes too much more.

    95th percentiles of few runs do not compare: a canary that seems slower first waits for more.
    """
    if exceeded := _more_tokens(status):
        return MonitorDecision("hold", exceeded)
    if slower := _slower(status):
        if min(_ended(status.new), _ended(status.old)) >= LEAST_TIMED:
            return MonitorDecision("hold", slower)
        if status.age < CANARY_FOR:
            return MonitorDecision("wait", reason)
    return MonitorDecision("promote", reason)


def _more_tokens(status: ReleaseStatus) -> Reason | None:
    new, old = status.new, status.old
    if not new.tokens or not old.tokens or min(new.priced, old.priced) < LEAST_PRICED:
        return None
    if new.tokens <= MOST_TOKENS * old.tokens:
        return None
    return because("canary_more_tokens", tokens=new.tokens, before=old.tokens, at_most=MOST_TOKENS)


def _slower(status: ReleaseStatus) -> Reason | None:
    new, old = status.new.p95_seconds, status.old.p95_seconds
    if not new or not old or new <= MOST_LATENCY * old:
        return None
    return because("canary_slower", seconds=new, before=old, at_most=MOST_LATENCY)


def _ended(stats: VersionStats) -> int:
    return stats.runs + stats.errors


def _scores(code: Code, new: VersionStats, bounds: Bounds) -> Reason:
    lower = bounds.lower if math.isfinite(bounds.lower) else None
    return because(code, runs=new.runs, mean=bounds.mean, lower=lower)
