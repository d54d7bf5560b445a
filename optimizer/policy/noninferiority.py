"""The non-inferiority test: whether a shortened prompt is no worse."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from selfheal.db.reasons import Reason, because
from selfheal.optimizer.policy.sequential_test import (
    GateCases,
    GateTest,
    StoppingRule,
    SuperiorityRule,
)
from selfheal.optimizer.policy.superiority import (
    Decision,
    Pair,
    bound,
    decide,
    differences,
    discordant,
    healed_case_lost,
)
from selfheal.optimizer.records.candidates import UsualTokens, Verdict
from selfheal.optimizer.statistics import MARGIN, MOST_CASES, more_losses, paired_difference

CONFIDENCE: Final = 0.975  # of each of two gates, so that both together are wrong in 5 % at most
LEAST_RATE: Final = 0.5
FIXED_PAIRS: Final = 60
_MOST_CASES: Final = 2 * FIXED_PAIRS  # some may give no verdict
_HARM_AT: Final = 0.05


class NonInferiorityRule:
    """A fixed number of pairs, whatever they come to, unless they show harm.

    Cases healed before come first, since they are why sentences are there; then hold-out, then
    regression. Looking at the bound after every case, and stopping where it is good, would let harm
    through. Stopping early because there is harm lets none through.
    """

    def left(self, test: GateTest) -> Sequence[str]:
        """Return the ids of the cases that are still worth running, in order."""
        if harmful(test.pairs) or healed_case_lost(test.pairs):
            return []
        missing = max(FIXED_PAIRS - len(test.pairs), 0)
        return self._order(test.cases)[test.cases_run :][:missing]

    def extendable(self, test: GateTest) -> bool:
        """Return False: the number of pairs is fixed."""
        return False

    def proven(self, test: GateTest) -> bool:
        """Return False: there is no superiority to prove, and every pair counts for all."""
        return False

    def decide(self, test: GateTest) -> Decision:
        """Decide on the pairs seen so far."""
        return decide_harmless(test.pairs)

    def stopped(self, test: GateTest) -> Reason:
        """Return why nothing is left to run."""
        if lost := healed_case_lost(test.pairs):
            return lost
        if harmful(test.pairs):
            return because("harm_found")
        enough = len(test.pairs) >= FIXED_PAIRS
        return because("enough_pairs" if enough else "cases_exhausted")

    @staticmethod
    def _order(cases: GateCases) -> list[str]:
        healed = cases.healed()
        others = [each for each in cases.regression if each not in healed]
        return [*healed, *cases.hold_out, *others][:_MOST_CASES]


def gate_test(
    cases: GateCases,
    width: int,
    *,
    shortening: bool,
    most_cases: int = MOST_CASES,
    usual_tokens: UsualTokens | None = None,
    was_live: bool = False,
) -> GateTest:
    """Return the test of a gate, before its first case.

    Args:
        cases: what may be run.
        width: how many cases run at once.
        shortening: the candidate is the incumbent without some sentences.
        most_cases: how many held-out cases may be run until superiority is proven.
        usual_tokens: of the last good version's runs, if known.
        was_live: the candidate is an earlier version, whose tokens were accepted before.
    """
    rule: StoppingRule = NonInferiorityRule() if shortening else SuperiorityRule()
    return GateTest(cases, width, rule, most_cases, usual_tokens, was_live)


def harmful(pairs: Sequence[Pair]) -> bool:
    """Tell whether more was lost than gained, and more so than by chance."""
    return more_losses(*discordant(pairs)) < _HARM_AT


def decide_harmless(pairs: Sequence[Pair]) -> Decision:
    """Decide whether a shorter prompt is not inferior: accepted or rejected, never in between."""
    seen = decide(pairs)
    lower = paired_difference(differences(pairs), CONFIDENCE).lower
    verdict, reason = _verdict(seen, harmful(pairs), lower)
    if lost := healed_case_lost(pairs):
        verdict, reason = "rejected", lost
    return replace(seen, verdict=verdict, reason=reason, lower=bound(lower), w_value=None)


def _verdict(seen: Decision, harm: bool, lower: float) -> tuple[Verdict, Reason]:
    gains, losses = seen.gains, seen.losses
    if harm:
        return "rejected", because("sentences_needed", gains=gains, losses=losses)
    if seen.pairs < FIXED_PAIRS:
        return "rejected", because("too_few_pairs_to_compare", pairs=seen.pairs, needed=FIXED_PAIRS)
    if seen.incumbent_rate < LEAST_RATE:
        return "rejected", because("incumbent_rate_too_low", rate=seen.incumbent_rate)
    by = round(max(-lower, 0.0), 4)
    if lower <= -MARGIN:
        return "rejected", because("shorter_may_score_lower", gains=gains, losses=losses, by=by)
    return "accepted", because("not_inferior", gains=gains, losses=losses, by=by)
