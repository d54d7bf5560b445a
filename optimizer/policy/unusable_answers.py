"""Whether a release has made an agent's answers unusable. Pure functions.

An answer is unusable if it was cut off, does not fit its schema or the schema's ranges, or holds no
code. A prompt can cause that, and an outage cannot: a call that fails, or an empty or garbled
answer of the server, is not counted here.
"""

import math
from typing import Final

from selfheal.db.reasons import Reason, because
from selfheal.db.types import AnswerStats

NO_ANSWERS: Final = AnswerStats(0, 0, 0)
LEAST_UNUSABLE: Final = 3
LEAST_USABLE_BEFORE: Final = 3
RATE_ROSE_AT: Final = 100.0
_BEGAN_LATER_AT: Final = 0.001


def made_unusable(new: AnswerStats, before: AnswerStats) -> Reason | None:
    """Return the reason to roll a release back if it made answers unusable; None if it did not.

    Args:
        new: answers under the released version, since its release.
        before: answers under the version that it replaced.
    """
    usable_before = before.answers - before.unusable
    if new.unusable < LEAST_UNUSABLE or usable_before < LEAST_USABLE_BEFORE:
        return None
    evidence = rate_rose(new, before)
    if evidence < RATE_ROSE_AT or _began_later(new):
        return None
    return because(
        "unusable_answers",
        unusable=new.unusable,
        answers=new.answers,
        unusable_before=before.unusable,
        answers_before=before.answers,
        e_value=round(evidence, 4),
    )


def rate_rose(new: AnswerStats, before: AnswerStats) -> float:
    """Return the e-value that answers are unusable more often than before; 0 if they are not.

    The probability of both records with a rate each (both averaged over Jeffreys' prior), divided
    by the highest one with a common rate. If the rate is the same its expectation is at most 1 at
    any stopping time, so that it may be looked at after every run: it ever reaches 100 at most
    once in a hundred releases (Ville's inequality).
    """
    if new.unusable * before.answers <= before.unusable * new.answers:
        return 0.0
    own = _log_average(new) + _log_average(before)
    common = _log_highest(new.unusable + before.unusable, new.answers + before.answers)
    return math.exp(own - common)


def _began_later(new: AnswerStats) -> bool:
    """Tell whether answers became unusable after the release, so that it is not the cause.

    A prompt spoils answers from its first run. If many were usable first, and the share of those
    since then had applied to them, that would have been improbable.
    """
    since = new.answers - new.usable_first
    share = new.unusable / (since + 1)
    return bool((1 - share) ** new.usable_first < _BEGAN_LATER_AT)


def _log_average(stats: AnswerStats) -> float:
    """Return the log probability of a sequence of answers, averaged over Jeffreys' prior."""
    usable = stats.answers - stats.unusable
    return _log_beta(stats.unusable + 0.5, usable + 0.5) - _log_beta(0.5, 0.5)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_highest(unusable: int, answers: int) -> float:
    """Return the log probability of a sequence of answers at the rate that fits it best."""
    counts = (unusable, answers - unusable)
    return sum(count * math.log(count / answers) for count in counts if count)
