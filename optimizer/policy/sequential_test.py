"""Which cases a gate runs, in which order, and where it stops."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from selfheal.db.reasons import Reason, because
from selfheal.optimizer.policy.superiority import (
    FEWEST_PAIRS,
    MOST_CASES,
    Decision,
    Pair,
    cannot_prove,
    decide,
    discordant,
    healed_case_lost,
    improbable_proof,
    superior,
)
from selfheal.optimizer.state import GateReport, PairResult
from selfheal.optimizer.statistics import e_value

MOST_HEALED: Final = 12


@dataclass(frozen=True, slots=True)
class GateCases:
    """The ids of the cases of a gate.

    Attributes:
        hold_out: of the held-out cases.
        regression: of the regression cases, those healed before first.
        pinned: of the cases that were healed before.
    """

    hold_out: Sequence[str]
    regression: Sequence[str]
    pinned: Collection[str] = ()

    def healed(self) -> list[str]:
        """Return the regression cases healed before that every gate runs."""
        return [each for each in self.regression if each in self.pinned][:MOST_HEALED]


class StoppingRule(Protocol):
    """What decides which cases follow, when they suffice, and what they show."""

    def left(self, test: "GateTest") -> Sequence[str]:
        """Return the ids of the cases that are still worth running, in order."""
        ...

    def proven(self, pairs: Sequence[Pair]) -> bool:
        """Tell whether superiority is proven, so that what follows counts for regression alone."""
        ...

    def decide(self, pairs: Sequence[Pair]) -> Decision:
        """Decide on the pairs seen so far."""
        ...

    def stopped(self, test: "GateTest") -> Reason:
        """Return why nothing is left to run."""
        ...


class SuperiorityRule:
    """Held-out cases first, until the evidence decides.

    If it speaks for the candidate, regression and what is left of hold-out follow, until there are
    enough pairs and the cases healed before have been run. One of these that is lost ends it.
    """

    def left(self, test: "GateTest") -> Sequence[str]:
        """Return the ids of the cases that are still worth running, in order."""
        if healed_case_lost(test.pairs):
            return []
        return self._after_proof(test) if test.proven else self._before_proof(test)

    def proven(self, pairs: Sequence[Pair]) -> bool:
        """Tell whether superiority is proven, so that what follows counts for regression alone."""
        return superior(pairs)

    def decide(self, pairs: Sequence[Pair]) -> Decision:
        """Decide on the pairs seen so far."""
        return decide(pairs)

    def stopped(self, test: "GateTest") -> Reason:
        """Return why nothing is left to run."""
        if lost := healed_case_lost(test.pairs):
            return lost
        if test.proven:
            few = len(test.pairs) < FEWEST_PAIRS
            return because("proven_but_cases_exhausted" if few else "proven_over_enough_pairs")
        left = len(test.cases.hold_out[:MOST_CASES]) - test.cases_run
        if not left:
            return because("hold_out_exhausted")
        if cannot_prove(test.pairs, left):
            return because("cannot_prove_with_cases_left", left=left)
        return because("cannot_prove_at_this_rate", left=left)

    @staticmethod
    def _before_proof(test: "GateTest") -> Sequence[str]:
        """Return the held-out cases left; none where they will not bring the evidence."""
        left = test.cases.hold_out[:MOST_CASES][test.cases_run :]
        return [] if improbable_proof(test.pairs, len(left)) else left

    @staticmethod
    def _after_proof(test: "GateTest") -> Sequence[str]:
        """Return what is left to show that nothing else is lost."""
        if len(test.pairs) >= FEWEST_PAIRS:
            return test.cases.healed()[test.run_after_proof :]
        seen = {pair.case_id for pair in test.pairs if pair.hold_out}
        held = [each for each in test.cases.hold_out[:MOST_CASES] if each not in seen]
        return [*test.cases.regression, *held][test.run_after_proof :]


@dataclass(slots=True)
class GateTest:
    """The progress of a gate: feed it what each batch came to until `next` returns none.

    Attributes:
        cases: what may be run.
        width: how many cases run at once.
        rule: decides what follows, and what it shows.
        pairs: cases with a verdict under both prompts, in order.
        cases_run: those without a verdict included.
        run_after_proof: how many of them were run after superiority was proven.
    """

    cases: GateCases
    width: int
    rule: StoppingRule = field(default_factory=SuperiorityRule)
    pairs: list[Pair] = field(default_factory=list)
    cases_run: int = 0
    run_after_proof: int = 0

    @property
    def proven(self) -> bool:
        """Whether superiority is proven, so that what is run now counts for regression alone."""
        return self.rule.proven(self.pairs)

    def next(self) -> list[str]:
        """Return the ids of the cases to run now; empty if it stops here."""
        return list(self.rule.left(self)[: self.width])

    def add(self, cases_run: int, pairs: Sequence[Pair]) -> None:
        """Add what a batch came to; of `cases_run` cases, only `pairs` may have verdicts."""
        self.run_after_proof += cases_run if self.proven else 0
        self.cases_run += cases_run
        self.pairs += pairs

    def decision(self) -> Decision:
        """Decide on the pairs seen so far."""
        return self.rule.decide(self.pairs)

    def stopped(self) -> Reason:
        """Return why it stopped, provided that `next` returns nothing."""
        return self.rule.stopped(self)


def report(test: GateTest, ordinal: int, *, budget_spent: bool = False) -> GateReport:
    """Return what a gate came to, for the receipt.

    Args:
        test: where it stopped.
        ordinal: of the candidate.
        budget_spent: the budget ended it before the evidence did. A proof is complete only if
            nothing that was healed before is lost, so that it does not accept then.
    """
    decision = test.decision()
    if budget_spent:
        verdict = "undecided" if decision.verdict == "accepted" else decision.verdict
        reason = because("budget_exhausted_before_end", decision=decision.reason)
        decision = replace(decision, verdict=verdict, reason=reason)
    return GateReport(
        ordinal=ordinal,
        budget_spent=budget_spent,
        verdict=decision.verdict,
        reason=decision.reason,
        pairs=decision.pairs,
        gains=decision.gains,
        losses=decision.losses,
        e_value=decision.e_value,
        difference=decision.difference,
        lower=decision.lower,
        incumbent_rate=decision.incumbent_rate,
        candidate_rate=decision.candidate_rate,
        width=test.width,
        cases_run=test.cases_run,
        stopped=because("budget_exhausted") if budget_spent else test.stopped(),
        pair_results=pair_results(test.pairs),
    )


def pair_results(pairs: Sequence[Pair]) -> list[PairResult]:
    """Return each pair of a gate, with the e-value after it, for the receipt."""
    return [
        PairResult(
            case_id=pair.case_id,
            hold_out=pair.hold_out,
            incumbent_passed=pair.incumbent_passed,
            candidate_passed=pair.candidate_passed,
            repeats=list(pair.repeats),
            e_value=round(e_value(*discordant(pairs[: place + 1])), 4),
        )
        for place, pair in enumerate(pairs)
    ]
