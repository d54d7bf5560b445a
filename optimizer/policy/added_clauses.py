"""Which edits of a candidate the failing cases call for: what no case misses does not go live.

A candidate differs from the incumbent by what it adds and by what it drops. An edit is applied if a
case fails without it: an added phrase, because it is missing, a sentence of a person that is
dropped, because it is there. So an instruction that has nothing to do with the failures goes,
however it is worded, and wherever in a sentence it stands.
"""

import math
from collections.abc import Generator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Agent, Trial
from selfheal.optimizer.state import (
    EditProof,
    EditReport,
    EditVerdict,
    Proposal,
)
from selfheal.optimizer.text.edits import EditedPrompt, Unit, Words, edited, word_key
from selfheal.optimizer.text.similarity import words

# Training cases that edits are tried on. A case of the evaluator costs one call.
CASES: Final[dict[Agent, int]] = {"worker": 8, "manager": 5, "evaluator": 12}
MOST_TRIALS: Final = 40  # of a case without an edit
MOST_TRIALS_IN_ALL: Final = 240
LONGEST_PHRASE: Final = 24  # words; a longer one may hide a condition that nothing separates
SLIP: Final = 0.1  # how often a sound prompt fails a case
SLIP_SEEN: Final = 0.2  # the same, where the candidate itself failed in screening
_LARGEST_SLIP: Final = 0.2  # of any sound prompt
_ALPHA: Final = 0.002  # the rate of keeping what is not needed
_ALPHA_AT_LARGEST: Final = 0.02  # the same, where slips are as frequent as they can be
_BETA: Final = 0.01  # the rate of removing what is needed
_RATES: Final = (0.5, 0.7, 0.9)  # of failure without what is needed
_RATE: Final = 0.75  # the same, to tell what is not needed
_UNSOUND: Final = 0.02  # the rate of taking a text that lacks something for sound
_MOST_REPEATS: Final = 5  # of a trial that failed, or gave no verdict
_MOST_ROUNDS: Final = 4  # of search and proof
_WIDTH: Final = 4  # cases that run at once
_LONGEST_EDIT: Final = 200  # characters
_LONGEST_RATIONALE: Final = 1_000  # characters


@dataclass(frozen=True, slots=True)
class Trusted:
    """The texts that a candidate's edits are compared with.

    Attributes:
        incumbent: the live prompt.
        anchor: the newest prompt up to the incumbent that the optimizer did not write.
        exempt: sentences of the candidate that are in versions which a person wrote, or which have
            a good record.
    """

    incumbent: str
    anchor: str
    exempt: Sequence[str]


@dataclass(slots=True)
class Tally:
    """The trials of one text, by case.

    Attributes:
        cases: the ids of all cases that texts are tried on.
        slip: how often a case fails though nothing needed is missing, 0 to 1.
        arm: of the text.
        results: whether each trial passed, by case.
    """

    cases: Sequence[str]
    slip: float
    arm: int
    results: dict[str, list[bool]] = field(default_factory=dict)
    takes: dict[str, int] = field(default_factory=dict)  # those without a verdict included

    def count(self, case: str, passed: bool | None) -> None:
        """Count a trial; None where it gave no verdict."""
        if passed is not None:
            self.results.setdefault(case, []).append(passed)

    def of(self, case: str) -> tuple[int, int]:
        """Return how many trials of a case failed, of how many."""
        found = self.results.get(case, [])
        return found.count(False), len(found)

    @property
    def e_value(self) -> float:
        """The evidence that some case misses what the text lacks, at the rate of slips."""
        return self._evidence(self.slip)

    def _evidence(self, slip: float) -> float:
        """Return the evidence against failures at a rate of slips.

        The mean of two likelihood ratios: of all trials of the text, and of those of a single case,
        whichever it is. Its expectation is at most 1 if nothing is missed, at any stopping time and
        for any choice of the next case.
        """
        alone = [_ratio(*self.of(case), slip) for case in self.cases]
        failed = sum(self.of(case)[0] for case in self.cases)
        total = sum(self.of(case)[1] for case in self.cases)
        return (_ratio(failed, total, slip) + sum(alone) / len(alone)) / 2

    def verdict(self, case: str) -> EditVerdict | None:
        """Return whether a case misses what the text lacks; None while that is open."""
        needed = self._evidence(_LARGEST_SLIP) >= 1 / _ALPHA_AT_LARGEST
        if needed and self.e_value >= 1 / _ALPHA:
            return "needed"
        if self.log_ratio([case], _RATE) <= math.log(_BETA):
            return "not_needed"
        return "undecided" if self.takes.get(case, 0) >= MOST_TRIALS else None

    def log_ratio(self, cases: Sequence[str], rate: float) -> float:
        """Return the log likelihood ratio of a rate of failures against that of slips."""
        failed = sum(self.of(case)[0] for case in cases)
        passed = sum(self.of(case)[1] for case in cases) - failed
        ratio = failed * math.log(rate / self.slip)
        return ratio + passed * math.log((1 - rate) / (1 - self.slip))


def _ratio(failed: int, of: int, slip: float) -> float:
    """Return the likelihood ratio of failures at the rates of what is needed, and of slips."""
    ratios = ((r / slip) ** failed * ((1 - r) / (1 - slip)) ** (of - failed) for r in _RATES)
    return sum(ratios) / len(_RATES)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Trials to run at once: a text as an arm, on cases, each with its take."""

    arm: int
    text: str
    batch: Sequence[tuple[str, int]]


Results: TypeAlias = Sequence[bool | None]
Course: TypeAlias = Generator[Attempt, Results, None]
Edit: TypeAlias = int | Unit
"""A dropped sentence, by its place, or an added phrase."""


class EditTest:
    """The test of a candidate's edits: run what `next` returns, until it returns None.

    It starts from the incumbent, without any edit. For a case that fails, the edit is searched, by
    halves, with which it passes, and applied, until all cases pass. Then each case is run without
    the edit that it called for, until it is known whether it misses it: what was found by a slip
    goes again. What no case calls for is never applied, and the text that is left has passed all
    cases.

    Attributes:
        edits: what is tested.
        cases: ids of the training cases.
        slip: how often a sound prompt fails a case, 0 to 1.
        applied: the edits that failing cases call for; all of them where nothing can be tested.
        proofs: what was found of each edit, in order.
        arms: how many texts were tried.
        untested: it came to no end, so that all edits are applied.
    """

    def __init__(
        self,
        edits: EditedPrompt,
        cases: Sequence[str],
        slip: float,
        first_arm: int = 1,
        known: Mapping[Words, Sequence[tuple[str, bool]]] | None = None,
        failed: Sequence[str] = (),
    ) -> None:
        """Prepare the test.

        Args:
            edits: the candidate's.
            cases: ids of training cases, those that the candidate passes first.
            slip: how often a sound prompt fails a case, 0 to 1.
            first_arm: the arm of the first text that is tried.
            known: earlier trials by the words of the text: (case, passed) each.
            failed: ids of the cases that were chosen because they failed under the incumbent,
                which is why these failures are no evidence.
        """
        self.edits = edits
        self.cases = list(cases)
        self.slip = slip
        self.all: list[Edit] = [*edits.dropped, *(unit for each in edits.added for unit in each)]
        self.applied: set[Edit] = set()
        self.proofs: list[EditProof] = []
        self.untested = False
        self._first_arm = first_arm
        self._known = known or {}
        self._failed = frozenset(failed)
        self._tallies: dict[Words, Tally] = {}
        self._keys: dict[frozenset[Edit], Words] = {}
        self._called: dict[Edit, str] = {}
        self._passed: set[str] = set()
        self._proven: set[Edit] = set()
        self._spent = 0
        self._course = self._complete()
        self._next = next(self._course, None)

    @property
    def text(self) -> str:
        """The incumbent with the edits that are applied."""
        return self._text(self.applied)

    @property
    def arms(self) -> int:
        """How many texts were tried."""
        return len(self._tallies)

    def next(self) -> Attempt | None:
        """Return what to run; None when the test is over. The same until `add` is called."""
        return self._next

    def add(self, results: Results) -> None:
        """Add whether each trial of the batch passed; None where it gave no verdict."""
        try:
            self._next = self._course.send(results)
        except StopIteration:
            self._next = None

    def left(self) -> list[str]:
        """Return the added phrases that stay."""
        return [self.describe(each) for each in self.all if each in self.applied and _adds(each)]

    def describe(self, edit: Edit) -> str:
        """Return the sentence or phrase of an edit."""
        return self.edits.sentence(edit) if isinstance(edit, int) else self.edits.phrase(edit)

    def _complete(self) -> Course:
        """Test, unless the superiority test itself is the test of a single edit."""
        if len(self.all) > 1:
            self.untested = not self.cases
            yield from self._reduced()
        if len(self.all) <= 1 or self.untested:
            self.applied = set(self.all)

    def _reduced(self) -> Course:
        """Apply what failing cases call for, then remove what only seemed to be needed."""
        for _ in range(_MOST_ROUNDS):
            found = yield from self._search()
            refuted = yield from self._refuted(found)
            if self.untested:
                return
            if not refuted:
                self.untested = not (yield from self._is_sound())
                return
        self.untested = True

    def _search(self) -> Generator[Attempt, Results, dict[Edit, str]]:
        """Apply edits until all cases pass. Return the case that called for each."""
        usable = list(self.cases)
        while not self.untested:
            failing = yield from self._failing(usable)
            if failing is None:
                break
            rest = [each for each in self.all if each not in self.applied]
            if not rest or not (yield from self._passes(set(self.all), failing)):
                usable.remove(failing)  # what the candidate fails as well shows nothing
                continue
            edit = yield from self._critical(rest, failing)
            self.applied.add(edit)
            self._called[edit] = failing
        return dict(self._called)

    def _failing(self, cases: Sequence[str]) -> Generator[Attempt, Results, str | None]:
        """Return the first case that fails with what is applied; None if all pass."""
        tally = self._tally(self.applied)
        # What passed with fewer edits will pass again, and is run when the others do.
        ordered = sorted(cases, key=lambda case: case in self._passed)
        for start in range(0, len(ordered), _WIDTH):
            batch = ordered[start : start + _WIDTH]
            if self.applied:  # before, one at a time: most cases will fail
                yield from self._run(
                    self.applied, [each for each in batch if not tally.of(each)[1]]
                )
            for case in batch:
                if not (yield from self._passes(self.applied, case)):
                    return case
                self._passed.add(case)
        return None

    def _refuted(self, called: Mapping[Edit, str]) -> Generator[Attempt, Results, list[Edit]]:
        """Remove the edits that their cases do not miss, and return them."""
        refuted: list[Edit] = []
        for edit, case in called.items():
            if self.untested or edit in self._proven:  # with fewer edits it fails as well
                continue
            if (yield from self._is_needed(edit, case)):
                self._proven.add(edit)
            else:
                self.applied.discard(edit)
                del self._called[edit]
                refuted.append(edit)
        return refuted

    def _is_sound(self) -> Generator[Attempt, Results, bool]:
        """Return whether what is left fails no more often than by slips; else it lacks something.

        Where cases fail seldom, they can all pass by chance without what they need.
        """
        tally = self._tally(self.applied)
        while not self.untested:
            log_ratio = tally.log_ratio(self.cases, _RATES[0])
            if log_ratio <= math.log(_UNSOUND):
                return True
            trials = max(len(tally.results), sum(tally.takes.values()))
            if log_ratio >= -math.log(_UNSOUND) or trials >= MOST_TRIALS:
                return False
            ordered = sorted(self.cases, key=lambda case: tally.takes.get(case, 0))
            yield from self._run(self.applied, ordered[:_WIDTH])
        return False

    def _critical(self, rest: Sequence[Edit], case: str) -> Generator[Attempt, Results, Edit]:
        """Return the first edit of the rest up to which all are applied when the case passes."""
        fails, passes = 0, len(rest)
        while passes - fails > 1:
            middle = (fails + passes) // 2
            if (yield from self._passes(self.applied | set(rest[:middle]), case)):
                passes = middle
            else:
                fails = middle
        return rest[passes - 1]

    def _passes(self, applied: Set[Edit], case: str) -> Generator[Attempt, Results, bool]:
        """Return whether a case passes; a failure is run again, since it may be a slip."""
        tally = self._tally(applied)
        before = int(not applied and case in self._failed)
        for _ in range(_MOST_REPEATS):
            failed, of = tally.of(case)
            failed, of = failed + before, of + before
            if of > failed * 2 or (failed > 1 and failed * 2 > of):
                break
            yield from self._run(applied, [case])
        failed, of = tally.of(case)
        return of + before > (failed + before) * 2

    def _is_needed(self, edit: Edit, case: str) -> Generator[Attempt, Results, bool]:
        """Return whether a case is shown to fail without an edit; in doubt the edit goes."""
        without = self.applied - {edit}
        tally = self._tally(without)
        while (verdict := tally.verdict(case)) is None and not self.untested:
            yield from self._run(without, [case] * (2 if tally.of(case)[1] else 3))
        failed, of = tally.of(case)
        proof = EditProof(
            edit=self.describe(edit)[:_LONGEST_EDIT],
            added=_adds(edit),
            case_id=case,
            failed=failed,
            of=of,
            e_value=round(tally.e_value, 4),
            verdict=verdict or "undecided",
        )
        self.proofs.append(proof)
        return verdict == "needed"

    def _run(self, applied: Set[Edit], cases: Sequence[str]) -> Course:
        """Run a text on cases, each as often as it is listed."""
        tally = self._tally(applied)
        if not cases or self.untested:
            return
        if self._spent + len(cases) > MOST_TRIALS_IN_ALL:
            self.untested = True
            return
        batch: list[tuple[str, int]] = []
        for case in cases:
            batch.append((case, tally.takes.get(case, 0)))
            tally.takes[case] = tally.takes.get(case, 0) + 1
        results = yield Attempt(tally.arm, self._text(applied), batch)
        self._spent += len(batch)
        for (case, _), passed in zip(batch, results, strict=True):
            tally.count(case, passed)

    def _tally(self, applied: Set[Edit]) -> Tally:
        """Return the trials of a text, those that are known from elsewhere included."""
        edits = frozenset(applied)
        if edits not in self._keys:
            self._keys[edits] = word_key(self._text(applied))
        key = self._keys[edits]
        if key not in self._tallies:
            arm = self._first_arm + len(self._tallies)
            tally = self._tallies[key] = Tally(self.cases, self.slip, arm)
            for case, passed in self._known.get(key, ()):
                tally.count(case, passed)
        return self._tallies[key]

    def _text(self, applied: Set[Edit]) -> str:
        removed = {unit for each in self.edits.added for unit in each} - applied
        restored = set(self.edits.dropped) - applied
        return self.edits.text(removed, restored)


def _adds(edit: Edit) -> bool:
    return not isinstance(edit, int)


def held(test: EditTest, doubted: Sequence[str]) -> Reason | None:
    """Return why the text that is left has to be approved; None if it may be released.

    Args:
        test: which is over.
        doubted: the phrases of which a model says that the failures do not call for them.
    """
    left = test.left()
    causes: list[Reason] = []
    if test.untested:
        causes.append(because("edits_untested", edits=len(test.all)))
    if long := [each for each in left if len(words(each)) > LONGEST_PHRASE]:
        causes.append(because("long_addition", words=len(words(long[0])), limit=LONGEST_PHRASE))
    if doubts := [each for each in left if each in doubted]:
        causes.append(because("additions_doubted", additions=doubts))
    return because("edits_need_approval", causes=causes) if causes else None


def edit_test(
    agent: Agent,
    survivor: Proposal,
    proposals: Sequence[Proposal],
    trusted: Trusted,
    train: Sequence[str],
    failed: Sequence[str],
    trials: Sequence[Trial],
    first_arm: int,
) -> EditTest:
    """Return the test of a candidate's edits, before its first trial.

    Args:
        agent: whose prompt it is.
        survivor: the candidate.
        proposals: all candidates so far.
        trusted: what its edits are compared with.
        train: ids of the training cases, in order.
        failed: those of runs that failed under the incumbent.
        trials: those of the healing so far that are evidence.
        first_arm: the arm of the first text that is tried.
    """
    texts = {0: trusted.incumbent, **{each["ordinal"]: each["text"] for each in proposals}}
    known: dict[Words, list[tuple[str, bool]]] = {}
    own: dict[str, bool] = {}
    for trial in trials:
        if trial.stage == "screen" and trial.arm in texts:
            result = (trial.case_id, trial.passed)
            known.setdefault(word_key(texts[trial.arm]), []).append(result)
            if trial.arm == survivor["ordinal"]:
                own[trial.case_id] = trial.passed
    passed = [case for case in train if own.get(case)]
    cases = [*passed, *(case for case in train if case not in own)][: CASES[agent]]
    edits = edited(survivor["text"], trusted.incumbent, trusted.anchor, trusted.exempt)
    slip = SLIP if all(own.values()) else SLIP_SEEN
    return EditTest(edits, cases, slip, first_arm, known, failed)


def report(
    test: EditTest, survivor: Proposal, trusted: Trusted, doubted: Sequence[str]
) -> EditReport:
    """Return what a test that is over came to, for the receipt; `reduced` is still null.

    Args:
        test: of the candidate's edits.
        survivor: the candidate.
        trusted: what its edits were compared with.
        doubted: the phrases of which a model says that the failures do not call for them.
    """
    nothing = word_key(test.text) in ((), word_key(trusted.incumbent))
    reason = because("no_edit_called_for") if nothing else None
    undone = [each for each in test.all if each not in test.applied]
    return EditReport(
        ordinal=survivor["ordinal"],
        exempt=list(trusted.exempt),
        cases=list(test.cases),
        slip=test.slip,
        edits=len(test.all),
        arms=test.arms,
        proofs=test.proofs,
        removed=[test.describe(each) for each in undone if _adds(each)],
        restored=[test.describe(each) for each in undone if not _adds(each)],
        doubted=list(doubted),
        reduced=None,
        held=held(test, doubted),
        reason=reason,
    )


def reduced(
    test: EditTest, survivor: Proposal, report: EditReport, ordinal: int
) -> Proposal | None:
    """Return what is left of a candidate as one of its own; None if nothing changed or is left.

    Args:
        test: of the candidate's edits.
        survivor: the candidate.
        report: of the test.
        ordinal: of the new candidate.
    """
    if report["reason"] or not (report["removed"] or report["restored"]):
        return None
    removed, restored = " / ".join(report["removed"]), " / ".join(report["restored"])
    changes = [f"Removed: {removed}"] if removed else []
    changes += [f"Restored: {restored}"] if restored else []
    return Proposal(
        ordinal=ordinal,
        round=survivor["round"],
        origin="reduced",
        version=None,
        text=test.text,
        rationale=" ".join(changes)[:_LONGEST_RATIONALE],
        fate="",
        reason=None,
    )


def fate_reason(report: EditReport) -> Reason | None:
    """Return why the tested candidate itself does not reach the gate; None if it does."""
    if report["reason"] or report["reduced"] is None:
        return report["reason"]
    removed, restored = len(report["removed"]), len(report["restored"])
    return because("reduced", candidate=report["reduced"], removed=removed, restored=restored)


def held_edits(reports: Sequence[EditReport], ordinal: int) -> Reason | None:
    """Return why a candidate that reached the gate has to be approved; None if it need not be."""
    tested = (each for each in reports if ordinal in (each["reduced"], each["ordinal"]))
    return next((each["held"] for each in tested), None)
