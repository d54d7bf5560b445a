"""What screening decides from trials on training cases, and which candidates need none.

A candidate is eliminated where it passed none of 4 trials, or at most 2 of 8: at 1 of 4 it is tried
4 times more. A candidate that passes 60 % of such trials is eliminated in 5.3 %, one of 80 % in
0.2 %, one of 20 % in 75 % (at most 1 of 4 alone: 17.9 %, 2.7 % and 82 %). Nothing is eliminated by
trials on one or two different cases: these may be at fault themselves.

The evaluator's candidates must pass a share of their cases, the bar: decided by 24 trials where
they are clear, else by up to 48: at a bar of .7 a judge of .8 is eliminated in 3.6 %, one of .9 in
less than 0.1 %, one of .6 in 90 % (by 24 trials alone: 8.9 %, 0.2 %, 81 %).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Agent, Origin, Trial
from selfheal.optimizer.distributions import binomial_at_least, binomial_at_most
from selfheal.optimizer.records.candidates import Proposal, Screening, ScreenResult
from selfheal.optimizer.records.cases import Count

# Trials of each candidate: at first, and where these leave it open. A case of the evaluator costs
# one call, and its candidates differ by little.
FIRST: Final[dict[Agent, int]] = {"worker": 4, "manager": 4, "evaluator": 24}
MOST: Final[dict[Agent, int]] = {"worker": 8, "manager": 8, "evaluator": 48}
LEAST_CASES: Final = 3  # different ones, for an elimination
LEAST_TRIALS: Final = 4  # with a verdict, for an elimination
LEAST_AGREEMENT: Final = 0.7  # a judge's candidate must be right, not merely better than before
_OUT_AT: Final = (0, 2)  # passes at which a candidate is out after the first trials, and after all
_ATTEMPTS: Final = 12  # trials of a generating prompt, those without a verdict included
_CLEARLY_BELOW: Final = 0.05  # the probability of so few passes at the bar
_CLEARLY_ABOVE: Final = 0.125  # the probability of so many

GOOD_RECORD: Final[tuple[Origin, ...]] = ("staged", "proven", "last_good")
"""The origins of candidates that reach the gate whatever a screening would say."""

Results = Mapping[int, Sequence[Trial]]
"""The verdicts of each candidate, by its ordinal."""


class Rule(NamedTuple):
    """What a screening decides by.

    Attributes:
        agent: whose prompt it is.
        bar: the share of trials to pass, as `bar` returns it.
        cases: how many training cases there are.
    """

    agent: Agent
    bar: float
    cases: int

    @property
    def attempts(self) -> int:
        """The most trials of a candidate, those without a verdict included."""
        if self.agent == "evaluator":  # a judge's marks hardly vary: no case is tried twice
            return min(self.cases, MOST["evaluator"])
        return _ATTEMPTS if self.cases else 0


def bar(agent: Agent, usual: Count | None) -> float:
    """Return the share of training cases that a survivor must pass at least; 0: no share.

    Args:
        agent: whose prompt it is.
        usual: what the judge used to agree on, as (agreed, asked); None if unknown.
    """
    if agent != "evaluator":
        return 0.0
    agreed, asked = usual or (1, 1)
    return min(LEAST_AGREEMENT, agreed / asked)


def due(rule: Rule, trials: Sequence[Trial], attempts: int) -> int:
    """Return how many more trials of a candidate are needed now; 0 if it is decided.

    Args:
        rule: of this screening.
        trials: those with a verdict so far.
        attempts: all so far, those without a verdict included.
    """
    count, left = len(trials), rule.attempts - attempts
    if count < FIRST[rule.agent]:
        return min(FIRST[rule.agent] - count, left)
    return min(MOST[rule.agent] - count, left) if _is_open(rule, trials) else 0


def is_out(rule: Rule, trials: Sequence[Trial]) -> bool:
    """Tell whether a candidate is eliminated by its trials, provided that none is due."""
    count, passed = len(trials), sum(trial.passed for trial in trials)
    if _different(trials) < LEAST_CASES or count < LEAST_TRIALS:
        return False
    if rule.agent == "evaluator":
        return passed < rule.bar * count
    return passed <= _OUT_AT[count >= MOST[rule.agent]]


def _is_open(rule: Rule, trials: Sequence[Trial]) -> bool:
    """Tell whether more trials could change what the first ones say."""
    count, passed = len(trials), sum(trial.passed for trial in trials)
    if _different(trials) < LEAST_CASES:
        return False
    if rule.agent == "evaluator":
        below = binomial_at_most(passed, count, rule.bar) < _CLEARLY_BELOW
        above = binomial_at_least(passed, count, rule.bar) < _CLEARLY_ABOVE
        return count == FIRST["evaluator"] and not below and not above
    if count == FIRST[rule.agent]:
        return passed == 1
    return passed <= _OUT_AT[1]


def _different(trials: Sequence[Trial]) -> int:
    return len({trial.case_id for trial in trials})


def report(rule: Rule, results: Results, proven: Collection[int]) -> Screening:
    """Return what a screening came to, for the receipt.

    Args:
        rule: of this screening.
        results: what each candidate came to.
        proven: the candidates that were live before; of equals they win.
    """
    found = [
        ScreenResult(
            ordinal=arm,
            passed=sum(trial.passed for trial in trials),
            of=len(trials),
            cases=_different(trials),
            score=round(_mean([trial.score for trial in trials]), 4),
            out=is_out(rule, trials),
        )
        for arm, trials in sorted(results.items())
    ]
    return Screening(bar=round(rule.bar, 4), results=found, survivor=survivor(found, proven))


def survivor(results: Sequence[ScreenResult], proven: Collection[int]) -> int | None:
    """Return the best: most passes, then what was live before, then score; None if all are out."""

    def merit(each: ScreenResult) -> tuple[float, bool, float, int]:
        share = each["passed"] / each["of"]
        return share, each["ordinal"] in proven, each["score"], -each["ordinal"]

    left = [each for each in results if each["of"] and not each["out"]]
    return max(left, key=merit)["ordinal"] if left else None


def lost(result: ScreenResult, survivor: int | None) -> Reason:
    """Return why a candidate did not survive."""
    passed, of = result["passed"], result["of"]
    if not of:
        return because("screening_without_verdict")
    if result["out"] or survivor is None:
        return because("screening_lost", passed=passed, of=of)
    return because("screening_outranked", passed=passed, of=of, candidate=survivor)


def remains(proposal: Proposal) -> bool:
    """Tell whether a candidate takes part in the next screening.

    It has no fate yet, or was only outranked: by a candidate that the gate has rejected since.
    """
    reason = proposal["reason"]
    outranked = reason is not None and reason["code"] == "screening_outranked"
    return not proposal["fate"] or outranked


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(len(values), 1)
