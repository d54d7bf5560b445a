"""Which sentences of a prompt are tried without, in which order, and which may go."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Agent
from selfheal.optimizer.dataset.split import OWN, fingerprint
from selfheal.optimizer.policy.superiority import Pair
from selfheal.optimizer.records.candidates import Fate, Proposal
from selfheal.optimizer.records.cases import Case, Split
from selfheal.optimizer.text.sentences import (
    Sentence,
    remove_sentences,
    restricts,
    split_sentences,
)
from selfheal.optimizer.text.similarity import words

MOST_GROUPS: Final = 5
_BATCH: Final = 2
_FEWEST, _MOST = 3, 6  # cases of one sentence
# What a trial costs depends on the agent, and the gate needs the greater part of the budget.
_MOST_SENTENCES: Final[dict[Agent, int]] = {"worker": 20, "manager": 8}
_SINGLE: Final[dict[Agent, int]] = {"worker": 60, "manager": 24}  # cases of all single sentences
_GROUPED: Final[dict[Agent, int]] = {"worker": 8, "manager": 4}
_LEAST_PASSED: Final = 2
_SLACK: Final = 0.05  # of the mean score; half of what the gate allows
_LOST: Final = "screen"
_KEPT: Final = "lint"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A removal to try on the training cases from `first` to before `last`."""

    proposal: Proposal
    first: int
    last: int


@dataclass(slots=True)
class Ablation:
    """The sentences of a prompt: which of them can be left out, alone and together.

    Each is left out alone, on a few cases. Then all that were not needed are left out together, on
    other cases, since of two sentences that say the same only one can go. Where that loses
    something, halves are tried, the larger ones first.

    `next` returns what to try; `add` takes what it came to; `proposals` is complete when `next`
    returns None.

    Attributes:
        agent: whose prompt it is, which determines what a trial costs.
        text: the live prompt.
        proposals: the prompt without some of its sentences; `fate` is empty where they may go.
    """

    agent: Agent
    text: str
    proposals: list[Proposal] = field(default_factory=list)
    _sentences: list[Sentence] = field(init=False)
    _sizes: list[int] = field(init=False)  # words of each sentence
    _single: list[int] = field(init=False)  # places still to be left out alone
    _changes: dict[int, float] = field(default_factory=dict)  # of the score, of those not needed
    _groups: list[list[int]] | None = None  # still to be left out together; None before the first
    _groups_tried: int = 0
    _current: Attempt | None = None
    _pairs: list[Pair] = field(default_factory=list)  # of the current removal

    def __post_init__(self) -> None:
        self._sentences = split_sentences(self.text, _MOST_SENTENCES[self.agent])
        self._sizes = [len(words(each.text)) for each in self._sentences]
        self._single = sorted(range(len(self._sizes)), key=lambda place: -self._sizes[place])

    @property
    def cases(self) -> int:
        """How many training cases are needed."""
        return self._cases_each + _GROUPED[self.agent]

    def next(self) -> Attempt | None:
        """Return the removal to try, and on which cases; None when there is nothing left to try.

        It is the same one until `add` was called.
        """
        while self._current is None:
            if self._single:
                self._begin_single(self._single.pop(0))
            elif group := self._next_group():
                self._begin_group(group)
            else:
                return None
        return self._current

    def add(self, pairs: Sequence[Pair]) -> None:
        """Add what the attempt came to; a removal is tried until something is lost."""
        attempt = self._current
        if attempt is None:
            raise ValueError("next() has returned no attempt")
        self._pairs += pairs
        lost = any(_is_lost(each) for each in self._pairs)
        end = self._cases_each if attempt.proposal["round"] == 1 else self.cases
        if lost or attempt.last >= end:
            self._end(attempt.proposal)
        else:
            self._current = _batch(attempt.proposal, attempt.last, end)

    def proposal(self, gone: list[int], round_: int) -> Proposal:
        """Return the prompt without the sentences at these places, as the next proposal."""
        return Proposal(
            ordinal=len(self.proposals) + 1,
            round=round_,
            origin="diet",
            version=None,
            text=remove_sentences(self._sentences, gone),
            rationale=" ".join(self._sentences[place].text for place in sorted(gone)),
            fate="",
            reason=None,
            without=gone,
        )

    @property
    def _cases_each(self) -> int:
        """On how many cases the removal of each sentence is tried."""
        return max(_FEWEST, min(_MOST, _SINGLE[self.agent] // max(len(self._sentences), 1)))

    def _begin_single(self, place: int) -> None:
        proposal = self.proposal([place], 1)
        alone = self._sentences[place].text
        kept = [because("drops_requirement", requirement=alone)] if restricts(alone) else []
        kept += [] if words(proposal["text"]) else [because("nothing_left")]
        if kept:
            self._close(proposal, _KEPT, because("breaks_prompt_rules", violations=kept))
        else:
            self._current = _batch(proposal, 0, self._cases_each)

    def _begin_group(self, group: list[int]) -> None:
        self._groups_tried += 1
        proposal = self.proposal(group, 2)
        if words(proposal["text"]):
            self._current = _batch(proposal, self._cases_each, self.cases)
        else:
            self._close(proposal, _LOST, because("nothing_left"))

    def _next_group(self) -> list[int] | None:
        """Return the places to leave out together next; None if a group may go, or none is left."""
        if self._groups is None:
            best = sorted(self._changes, key=lambda at: (-self._changes[at], -self._sizes[at]))
            self._groups = [best] if len(best) > 1 else []
        elif self._groups_tried and self.proposals[-1]["fate"]:
            self._groups += halves(self.proposals[-1]["without"])
        elif self._groups_tried:
            return None
        if self._groups_tried == MOST_GROUPS or not self._groups:
            return None
        return self._groups.pop(0)

    def _end(self, proposal: Proposal) -> None:
        fate, reason = _judged(self._pairs)
        if not fate and proposal["round"] == 1:
            self._changes[proposal["without"][0]] = _change(self._pairs)
        self._close(proposal, fate, reason)

    def _close(self, proposal: Proposal, fate: Fate, reason: Reason) -> None:
        self.proposals.append({**proposal, "fate": fate, "reason": reason})
        self._current, self._pairs = None, []


def contender(proposals: Iterable[Proposal]) -> Proposal | None:
    """Return what goes to the first gate: the most that may go together; None if nothing may."""
    may_go = [each for each in proposals if not each["fate"]]
    return may_go[-1] if may_go and (len(may_go) == 1 or may_go[-1]["round"] == 2) else None


def half(agent: Agent, text: str, proposals: Sequence[Proposal], ordinal: int) -> Proposal | None:
    """Return the better half of a proposal that was too much; None if it has no half.

    Args:
        agent: whose prompt it is.
        text: the live prompt.
        proposals: all that there are.
        ordinal: the one that was too much.
    """
    gone = next(each["without"] for each in proposals if each["ordinal"] == ordinal)
    ablation = Ablation(agent, text, list(proposals))
    return ablation.proposal(halves(gone)[0], 3) if len(gone) > 1 else None


def halves(group: list[int]) -> list[list[int]]:
    """Divide places in two, the better ones first; nothing is left of a single one."""
    middle = -(-len(group) // 2)
    return [group[:middle], group[middle:]] if len(group) > 1 else []


def set_aside(split: Split, count: int) -> Split:
    """Return a split with `count` training cases, filled up with golden ones of regression.

    No model reads training cases when a prompt is shortened, and no gate runs the moved ones.
    """
    missing = max(count - len(split["train"]), 0)
    golden = [case for case in split["regression"] if case["source"] == "golden"]
    moved: list[Case] = golden[:missing]
    train = [*split["train"], *moved]
    regression = [case for case in split["regression"] if case not in moved]
    return {
        **split,
        "train": train,
        "regression": regression,
        "fingerprint": fingerprint(train, split["hold_out"], regression),
    }


def reserve(split: Split, count: int) -> Split:
    """Return a split in which golden cases of regression are set aside beside training cases.

    An operator's own golden requests stay: they are there for the proof.

    Args:
        split: as it was made.
        count: how many cases edits are tested on, those of the training set included.
    """
    missing = max(count - len(split["train"]), 0)
    shipped = [case for case in split["regression"] if case["id"].startswith("golden:")]
    moved = [case for case in shipped if not case["id"].startswith(OWN)][:missing]
    regression = [case for case in split["regression"] if case not in moved]
    return {
        **split,
        "regression": regression,
        "aside": moved,
        "fingerprint": fingerprint(split["train"], split["hold_out"], regression),
    }


def nothing_removable(proposals: Sequence[Proposal]) -> Reason:
    """Return the reason that no sentence can go."""
    single = [each for each in proposals if each["round"] == 1]
    kept = sum(each["fate"] == _KEPT for each in single)
    missed = sum(each["fate"] == _LOST for each in single)
    all_needed = kept + missed == len(single)
    return because(
        "no_sentence_removable" if all_needed else "no_sentences_removable_together",
        sentences=len(single),
        kept=kept,
        missed=missed,
    )


def _batch(proposal: Proposal, first: int, end: int) -> Attempt:
    return Attempt(proposal, first, min(first + _BATCH, end))


def _judged(pairs: Sequence[Pair]) -> tuple[Fate, Reason]:
    """Return fate and reason of a removal: it may go where nothing was lost."""
    passing = [pair for pair in pairs if pair.incumbent_passed]
    if lost := sum(map(_is_lost, pairs)):
        return _LOST, because("cases_lost", lost=lost, of=len(passing))
    if len(passing) < _LEAST_PASSED:
        return _LOST, because("incumbent_passes_too_few", passed=len(passing), of=len(pairs))
    change = round(_change(pairs), 4)
    if _change(pairs) < -_SLACK:
        return _LOST, because("scores_lower", by=-change)
    return "", because("nothing_lost", of=len(passing), change=change)


def _is_lost(pair: Pair) -> bool:
    return pair.incumbent_passed and not pair.candidate_passed


def _change(pairs: Sequence[Pair]) -> float:
    return sum(each.candidate_score - each.incumbent_score for each in pairs) / len(pairs)
