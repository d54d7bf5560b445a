"""Which edits of a candidate the failing cases call for: what no case misses does not go live.

A candidate differs from the incumbent by what it adds and by what it drops. An edit is applied if a
case fails without it: an added phrase, because it is missing, a sentence of a person that is
dropped, because it is there. So an instruction that has nothing to do with the failures goes,
however it is worded, and wherever in a sentence it stands.
"""

from collections.abc import Generator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final, TypeAlias

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Agent, Trial
from selfheal.optimizer.policy.edit_evidence import SLIP, SLIP_SEEN, Tally
from selfheal.optimizer.records.candidates import EditProof, EditReport, Proposal
from selfheal.optimizer.text.edits import EditedPrompt, Unit, Words, edited, word_key
from selfheal.optimizer.text.similarity import words

# Training cases that edits are tried on. A case of the evaluator costs one call.
CASES: Final[dict[Agent, int]] = {"worker": 8, "manager": 6, "evaluator": 12}
# Further cases that what is left is tried on: one that fails, and that the candidate passes, shows
# that something is missing.
MORE_CASES: Final[dict[Agent, int]] = {"worker": 16, "manager": 8, "evaluator": 12}
MOST_TRIALS_IN_ALL: Final = 300  # until nothing more can be undone
MOST_FURTHER_TRIALS: Final = 150
LONGEST_PHRASE: Final = 24  # words; a longer one may hide a condition that nothing separates
_MOST_MISSED: Final = 4  # edits that a further case misses
_MOST_REPEATS: Final = 5  # of a trial that failed, or gave no verdict
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

    It starts from the candidate, on the cases that it passes, and undoes edits by halves as long as
    no case misses them: first dropped sentences come back, then added sentences go, then phrases of
    the added sentences that are left. A single edit stays only if it is proven that a case fails
    without it. What is left is tried on further cases, and what these miss is applied again, by the
    same proof. What no case calls for is never released.

    Attributes:
        edits: what is tested.
        cases: ids of the training cases.
        slip: how often a sound prompt fails a case, 0 to 1.
        applied: the edits that stay; all of them where nothing can be tested.
        proofs: what was found of each edit that a case seemed to miss, in order.
        arms: how many texts were tried.
        untested: there was no case to test on, so that all edits stay.
    """

    def __init__(
        self,
        edits: EditedPrompt,
        cases: Sequence[str],
        slip: float,
        first_arm: int = 1,
        first_cases: int | None = None,
        known: Mapping[Words, Sequence[tuple[str, bool]]] | None = None,
    ) -> None:
        """Prepare the test.

        Args:
            edits: the candidate's.
            cases: ids of training cases, those that the candidate passes first.
            slip: how often a sound prompt fails a case, 0 to 1.
            first_arm: the arm of the first text that is tried.
            first_cases: how many of the cases edits are undone by; on the others what is left is
                tried. None for all.
            known: earlier trials by the words of the text: (case, passed) each.
        """
        self.edits = edits
        self.cases = list(cases)
        self.slip = slip
        self.all: list[Edit] = [*edits.dropped, *(unit for each in edits.added for unit in each)]
        self.applied: set[Edit] = set(self.all)
        self.proofs: list[EditProof] = []
        self.untested = False
        self._first_arm = first_arm
        self._first_cases = len(self.cases) if first_cases is None else first_cases
        self._known = known or {}
        self._tallies: dict[Words, Tally] = {}
        self._keys: dict[frozenset[Edit], Words] = {}
        self._sensitive: list[str] = []  # cases that missed an edit, the last one first
        self._spent = 0
        self._most = MOST_TRIALS_IN_ALL
        self._exhausted = False
        self._proven: set[Edit] = set()
        self._course = self._complete()
        self._next = next(self._course, None)

    @property
    def text(self) -> str:
        """The incumbent with the edits that stay."""
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
        if len(self.all) <= 1:
            return
        usable = yield from self._usable()
        yield from self._undo([[each] for each in self.edits.dropped], usable)
        yield from self._undo([list(each) for each in self.edits.added], usable)
        tested: set[Edit] = set()
        while phrases := self._untested_phrases(tested):
            tested.update(phrases)
            yield from self._undo([[each] for each in phrases], usable)
        if not usable:
            self.untested = True
            return
        further = self.cases[self._first_cases :]
        if self._exhausted:  # what is not proven goes, and what is missed comes back with a proof
            self.applied &= self._proven
            further = [*usable, *further]
            self._exhausted = False
        self._most = self._spent + MOST_FURTHER_TRIALS
        yield from self._complement(further)

    def _complement(self, cases: Sequence[str]) -> Course:
        """Apply again what further cases miss, each edit if that is proven."""
        for start in range(0, len(cases), _WIDTH):
            batch = cases[start : start + _WIDTH]
            tally = self._tally(self.applied)
            yield from self._run(self.applied, [each for each in batch if not tally.of(each)[1]])
            for case in batch:
                missing = not (yield from self._passes(self.applied, case))
                if (
                    missing
                    and not self._exhausted
                    and (yield from self._passes(set(self.all), case))
                ):
                    yield from self._apply_for(case)

    def _apply_for(self, case: str) -> Course:
        """Apply the edits with which a case passes, and keep those that it is proven to miss."""
        found: list[Edit] = []
        while len(found) < _MOST_MISSED and not (yield from self._passes(self.applied, case)):
            rest = [each for each in self.all if each not in self.applied]
            if not rest or self._exhausted:
                break
            found.append((yield from self._critical(rest, case)))
            self.applied.add(found[-1])
        for edit in found:  # in doubt it goes again
            if not (yield from self._is_needed({edit}, case)):
                self.applied.discard(edit)

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

    def _untested_phrases(self, tested: Set[Edit]) -> list[Edit]:
        """Return of each sentence the last phrase that is not tested by itself.

        A sentence of which one phrase is left was tested by itself.
        """
        found: list[Edit] = []
        for sentence in self.edits.added:
            left = [each for each in sentence if each in self.applied]
            untested = [each for each in left if each not in tested]
            found += untested[-1:] if len(left) > 1 else []
        return found

    def _usable(self) -> Generator[Attempt, Results, list[str]]:
        """Return the cases that the candidate passes: what it fails itself shows nothing."""
        tally = self._tally(self.applied)
        first = self.cases[: self._first_cases]
        yield from self._run(self.applied, [each for each in first if not tally.of(each)[1]])
        return [each for each in first if tally.of(each)[0] == 0 < tally.of(each)[1]]

    def _undo(
        self, groups: Sequence[Sequence[Edit]], usable: Sequence[str], *, needed: bool = False
    ) -> Course:
        """Undo as many of these edits as no case misses, by halves.

        Args:
            groups: edits that are undone together.
            usable: the cases to run.
            needed: it is known that a case misses some of them.
        """
        if self._exhausted or not groups:
            return
        edits = {edit for group in groups for edit in group}
        if len(groups) == 1 or not needed:
            case = yield from self._missed(edits, usable)
            if case is not None and len(groups) == 1 and not self._exhausted:
                case = case if (yield from self._is_needed(edits, case)) else None
            if self._exhausted:
                return
            if case is None:
                self.applied -= edits
                return
        if len(groups) == 1:
            return
        middle = (len(groups) + 1) // 2
        yield from self._undo(groups[:middle], usable)
        gone = not any(edit in self.applied for group in groups[:middle] for edit in group)
        yield from self._undo(groups[middle:], usable, needed=gone)

    def _missed(
        self, edits: Set[Edit], usable: Sequence[str]
    ) -> Generator[Attempt, Results, str | None]:
        """Return the first case that fails without some edits; None if all pass."""
        without = self.applied - edits
        tally = self._tally(without)
        sensitive = [each for each in self._sensitive if each in usable]
        ordered = [*sensitive, *(each for each in usable if each not in sensitive)]
        for start in range(0, len(ordered), _WIDTH):
            batch = ordered[start : start + _WIDTH]
            yield from self._run(without, [each for each in batch if not tally.of(each)[1]])
            for case in batch:
                if not (yield from self._passes(without, case)):
                    self._sensitive = [case, *(each for each in self._sensitive if each != case)]
                    return case
        return None

    def _passes(self, applied: Set[Edit], case: str) -> Generator[Attempt, Results, bool]:
        """Return whether a case passes; a failure is run again, since it may be a slip."""
        tally = self._tally(applied)
        for _ in range(_MOST_REPEATS):
            failed, of = tally.of(case)
            if of > failed * 2 or (failed > 1 and failed * 2 > of):
                break
            yield from self._run(applied, [case])
        failed, of = tally.of(case)
        return of > failed * 2

    def _is_needed(self, edits: Set[Edit], case: str) -> Generator[Attempt, Results, bool]:
        """Return whether a case is shown to fail without an edit; in doubt the edit goes."""
        without = self.applied - edits
        tally = self._tally(without)
        while (verdict := tally.verdict(case)) is None and not self._exhausted:
            yield from self._run(without, [case] * 2)
        failed, of = tally.of(case)
        first = min(edits, key=self.all.index)
        described = self.describe(first) if len(edits) == 1 else self.edits.sentence(_place(first))
        proof = EditProof(
            edit=described[:_LONGEST_EDIT],
            added=_adds(first),
            case_id=case,
            failed=failed,
            of=of,
            e_value=round(tally.e_value, 4),
            verdict=verdict or "undecided",
        )
        self.proofs.append(proof)
        if verdict == "needed" and len(edits) == 1:
            self._proven |= edits
        return verdict == "needed"

    def _run(self, applied: Set[Edit], cases: Sequence[str]) -> Course:
        """Run a text on cases, each as often as it is listed."""
        tally = self._tally(applied)
        if not cases or self._exhausted:
            return
        if self._spent + len(cases) > self._most:
            self._exhausted = True
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


def _place(edit: Edit) -> int:
    return edit if isinstance(edit, int) else edit[0]


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
    trusted: Trusted,
    train: Sequence[str],
    trials: Sequence[Trial],
    first_arm: int,
) -> EditTest:
    """Return the test of a candidate's edits, before its first trial.

    Args:
        agent: whose prompt it is.
        survivor: the candidate.
        trusted: what its edits are compared with.
        train: ids of the training cases, in order.
        trials: those of the healing so far that are evidence.
        first_arm: the arm of the first text that is tried.
    """
    own: dict[str, bool] = {}
    known: list[tuple[str, bool]] = []
    for trial in trials:
        if (trial.stage, trial.arm) == ("screen", survivor["ordinal"]):
            known.append((trial.case_id, trial.passed))
            own[trial.case_id] = trial.passed and own.get(trial.case_id, True)
    passed = [case for case in train if own.get(case)]
    cases = [*passed, *(case for case in train if case not in own)]
    edits = edited(survivor["text"], trusted.incumbent, trusted.anchor, trusted.exempt)
    slip = SLIP if all(own.values()) else SLIP_SEEN
    first = CASES[agent]
    text = word_key(survivor["text"])
    return EditTest(
        edits, cases[: first + MORE_CASES[agent]], slip, first_arm, first, {text: known}
    )


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
