"""Which cases a gate runs, in which order, and where it stops."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from selfheal.db.reasons import Reason, because
from selfheal.optimizer.policy import guards, slices
from selfheal.optimizer.policy.superiority import (
    FEWEST_PAIRS,
    Decision,
    Pair,
    cannot_prove,
    cannot_show_not_inferior,
    decide,
    discordant,
    healed_case_lost,
    improbable_proof,
    not_inferior,
    superior,
)
from selfheal.optimizer.records.candidates import GateReport, PairResult, UsualTokens
from selfheal.optimizer.statistics import (
    ACCEPT_AT,
    EXTENDED_ACCEPT_AT,
    FIRST_CASES,
    MOST_CASES,
    detectable_difference,
    e_value,
    promising,
)

MOST_HEALED: Final = 12


@dataclass(frozen=True, slots=True)
class GateCases:
    """The ids of the cases of a gate.

    Attributes:
        hold_out: of the held-out cases, in the order in which they run: see `in_turns`.
        regression: of the regression cases, those healed before first.
        pinned: of the cases that were healed before.
        slices: the slice of each case.
    """

    hold_out: Sequence[str]
    regression: Sequence[str]
    pinned: Collection[str] = ()
    slices: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def in_turns(
        cls,
        hold_out: Sequence[str],
        regression: Sequence[str],
        pinned: Collection[str],
        of_slices: Mapping[str, str],
    ) -> "GateCases":
        """Return the cases of a split, the held-out ones by turns, one of each slice."""
        ordered = slices.in_turns(hold_out, of_slices)
        return cls(ordered, regression, pinned, of_slices)

    def healed(self) -> list[str]:
        """Return the regression cases healed before that every gate runs."""
        return [each for each in self.regression if each in self.pinned][:MOST_HEALED]


class StoppingRule(Protocol):
    """What decides which cases follow, when they suffice, and what they show."""

    def left(self, test: "GateTest") -> Sequence[str]:
        """Return the ids of the cases that are still worth running, in order."""
        ...

    def extendable(self, test: "GateTest") -> bool:
        """Tell whether what stopped here is worth more held-out cases, if they are affordable."""
        ...

    def proven(self, test: "GateTest") -> bool:
        """Tell whether superiority is proven, so that what follows counts for regression alone."""
        ...

    def decide(self, test: "GateTest") -> Decision:
        """Decide on the pairs seen so far."""
        ...

    def stopped(self, test: "GateTest") -> Reason:
        """Return why nothing is left to run."""
        ...


class SuperiorityRule:
    """Held-out cases first, until the evidence decides: up to 60, then more if it is promising.

    Once superiority is proven, further cases are run as long as they can change the decision: until
    scores are shown not to be lower, then until no slice is in doubt, then the cases healed before.
    One of these that is lost ends it.
    """

    def left(self, test: "GateTest") -> Sequence[str]:
        """Return the ids of the cases that are still worth running, in order."""
        if healed_case_lost(test.pairs):
            return []
        return self._after_proof(test) if test.proven else self._before_proof(test)

    def extendable(self, test: "GateTest") -> bool:
        """Tell whether what stopped here is worth more held-out cases, if they are affordable."""
        if test.proven or test.affordable is not None or self.left(test):
            return False
        more = len(test.cases.hold_out[: test.most_cases]) - test.cases_run
        vain = more <= 0 or improbable_proof(test.pairs, more, EXTENDED_ACCEPT_AT)
        return promising(*discordant(test.pairs)) and not vain and not healed_case_lost(test.pairs)

    def proven(self, test: "GateTest") -> bool:
        """Tell whether superiority is proven, so that what follows counts for regression alone."""
        return superior(test.pairs, test.needed)

    def decide(self, test: "GateTest") -> Decision:
        """Decide on the pairs seen so far."""
        return decide(test.pairs, test.needed, _objection(test))

    def stopped(self, test: "GateTest") -> Reason:
        """Return why nothing is left to run."""
        if lost := healed_case_lost(test.pairs):
            return lost
        if test.proven:
            return self._stopped_after_proof(test)
        if test.affordable is not None and not test.extended:
            return because("more_cases_unaffordable", affordable=test.affordable)
        left = len(test.held_left())
        if not left:
            return because("hold_out_exhausted")
        if cannot_prove(test.pairs, left, test.needed):
            return because("cannot_prove_with_cases_left", left=left)
        return because("cannot_prove_at_this_rate", left=left)

    @staticmethod
    def _stopped_after_proof(test: "GateTest") -> Reason:
        if not_inferior(test.pairs):
            return because("proven_and_not_inferior")
        if left := len(test.unseen()):
            return because("cannot_show_not_inferior", left=left)
        return because("cases_exhausted")

    @staticmethod
    def _before_proof(test: "GateTest") -> Sequence[str]:
        """Return the held-out cases left; none where they will not bring the evidence."""
        left = test.held_left()
        return [] if improbable_proof(test.pairs, len(left), test.needed) else left

    @staticmethod
    def _after_proof(test: "GateTest") -> Sequence[str]:
        """Return what is left to show that nothing else is lost."""
        unseen = test.unseen()
        if not not_inferior(test.pairs):
            vain = cannot_show_not_inferior(test.pairs, len(unseen))
            return [] if vain and len(test.pairs) >= FEWEST_PAIRS else unseen
        if doubtful := slices.unsettled_cases(test.pairs, test.cases.slices, unseen):
            return doubtful
        return [each for each in test.cases.healed() if each in unseen]


def _objection(test: "GateTest") -> Reason | None:
    """Return why a candidate that is superior needs approval all the same."""
    found = slices.results(test.pairs, test.cases.slices)
    if lost := slices.lost_slices(found):
        return because("slices_lost", slices=lost)
    use = guards.token_use(test.pairs, test.usual_tokens)
    if not test.was_live and use["ratio"] is not None and guards.too_many_tokens(use):
        return because("uses_more_tokens", ratio=use["ratio"], limit=guards.TOKEN_LIMIT)
    return None


@dataclass(slots=True)
class GateTest:
    """The progress of a gate: feed it what each batch came to until `next` returns none.

    Attributes:
        cases: what may be run.
        width: how many cases run at once.
        rule: decides what follows, and what it shows.
        most_cases: how many held-out cases may be run until superiority is proven.
        usual_tokens: of the last good version's runs, if known.
        was_live: the candidate is an earlier version, whose tokens were accepted before.
        affordable: how many held-out cases the budget covers; None until that was asked.
        pairs: cases with a verdict under both prompts, in order.
        run: ids of the cases that were run, those without a verdict included.
    """

    cases: GateCases
    width: int
    rule: StoppingRule = field(default_factory=SuperiorityRule)
    most_cases: int = MOST_CASES
    usual_tokens: UsualTokens | None = None
    was_live: bool = False
    affordable: int | None = None
    pairs: list[Pair] = field(default_factory=list)
    run: list[str] = field(default_factory=list)

    @property
    def cases_run(self) -> int:
        """How many cases were run, those without a verdict included."""
        return len(self.run)

    @property
    def extended(self) -> bool:
        """Whether more held-out cases than the first 60 are run to prove superiority."""
        return self.affordable is not None and self.limit > FIRST_CASES

    @property
    def needed(self) -> float:
        """The e-value that proves superiority."""
        return EXTENDED_ACCEPT_AT if self.extended else ACCEPT_AT

    @property
    def limit(self) -> int:
        """How many held-out cases may be run until superiority is proven."""
        if self.affordable is None:
            return min(FIRST_CASES, self.most_cases)
        return max(min(self.affordable, self.most_cases), min(FIRST_CASES, self.most_cases))

    @property
    def proven(self) -> bool:
        """Whether superiority is proven, so that what is run now counts for regression alone."""
        return self.rule.proven(self)

    @property
    def extendable(self) -> bool:
        """Whether it stopped where more held-out cases are worth their price; see `extend`."""
        return self.rule.extendable(self)

    def held_left(self) -> Sequence[str]:
        """Return the held-out cases that may still be run to prove superiority."""
        return self.cases.hold_out[: self.limit][self.cases_run :]

    def unseen(self) -> list[str]:
        """Return all cases that were not run: of the regression set first, then held-out ones."""
        run = set(self.run)
        return [each for each in (*self.cases.regression, *self.cases.hold_out) if each not in run]

    def next(self) -> list[str]:
        """Return the ids of the cases to run now; empty if it stops here."""
        return list(self.rule.left(self)[: self.width])

    def add(self, run: Sequence[str], pairs: Sequence[Pair]) -> None:
        """Add what a batch came to; of the cases that were run, only `pairs` have verdicts."""
        self.run += run
        self.pairs += pairs

    def extend(self, affordable: int) -> None:
        """Continue to as many held-out cases as the budget covers, if those are more than 60.

        Args:
            affordable: how many it covers in all, those that were run included.
        """
        self.affordable = affordable

    def decision(self) -> Decision:
        """Decide on the pairs seen so far."""
        return self.rule.decide(self)

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
        needed=decision.needed,
        w_value=decision.w_value,
        difference=decision.difference,
        lower=decision.lower,
        incumbent_rate=decision.incumbent_rate,
        candidate_rate=decision.candidate_rate,
        width=test.width,
        cases_run=test.cases_run,
        detectable=None if decision.w_value is None else detectable(test.cases, test.most_cases),
        most_cases=test.most_cases,
        affordable=test.affordable,
        slices=slices.results(test.pairs, test.cases.slices),
        usual_tokens=test.usual_tokens,
        tokens=guards.token_use(test.pairs, test.usual_tokens),
        stopped=because("budget_exhausted") if budget_spent else test.stopped(),
        pair_results=pair_results(test.pairs),
    )


def detectable(cases: GateCases, most_cases: int) -> float | None:
    """Return the difference of pass rates that a gate of these cases finds with 80 %."""
    return detectable_difference(len(cases.hold_out[:most_cases]))


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
