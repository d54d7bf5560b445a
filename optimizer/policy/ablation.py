"""Which sentences of a prompt go on trial, in which order, and which may go: pure."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from selfheal.db.types import Agent
from selfheal.optimizer.dataset.split import fingerprint
from selfheal.optimizer.guardrails.required import dropped_requirements
from selfheal.optimizer.policy.superiority import Pair
from selfheal.optimizer.state import Case, Proposal, Split
from selfheal.optimizer.text.sentences import Sentence, remove_sentences, split_sentences
from selfheal.optimizer.text.similarity import words

MOST_GATES: Final = 2  # all that may go together, then half of it
MOST_GROUPS: Final = 5
_AT_ONCE: Final = 2
_FEWEST, _MOST = 3, 6  # cases of one sentence
# What a trial costs depends on the agent, and the gate needs the greater part of the budget.
_PIECES: Final[Mapping[Agent, int]] = {"worker": 20, "manager": 8}
_ALONE: Final[Mapping[Agent, int]] = {"worker": 60, "manager": 24}  # cases of all together
_TOGETHER: Final[Mapping[Agent, int]] = {"worker": 8, "manager": 4}
_LEAST_PASSED: Final = 2
_SLACK: Final = 0.05  # of the mean score; half of what the gate allows
_LOST: Final = "screen"
_KEPT: Final = "lint"


class Attempt(NamedTuple):
    """A removal to try on train cases from `first` to before `last`."""

    proposal: Proposal
    first: int
    last: int


Trying = Generator[Attempt, Sequence[Pair], None]


@dataclass(slots=True)
class Trimming:
    """The sentences of a prompt: which it can do without, alone and together.

    Each is left out alone, on a few cases. Then all that nobody missed are left out together, on
    other cases, since of two sentences that say the same only one can go. Where that loses
    something, halves are tried, the larger ones first.

    Attributes:
        agent: whose prompt it is; it says how much a trial costs.
        text: the live prompt.
        proposals: the prompt without some of its sentences; `fate` is empty where they may go.
    """

    agent: Agent
    text: str
    proposals: list[Proposal] = field(default_factory=list)
    _pieces: list[Sentence] = field(init=False)

    def __post_init__(self) -> None:
        self._pieces = split_sentences(self.text, _PIECES[self.agent])

    def attempts(self) -> Trying:
        """Yield what to try next, and be sent what it came to; then `proposals` is complete."""
        sizes = [len(words(each.text)) for each in self._pieces]
        scores: dict[int, float] = {}
        for place in sorted(range(len(sizes)), key=lambda each: -sizes[each]):
            pairs = yield from self._alone(place)
            if not self.proposals[-1]["fate"]:
                scores[place] = _change(pairs)
        groups = [sorted(scores, key=lambda each: (-scores[each], -sizes[each]))]
        for _ in range(MOST_GROUPS if len(scores) > 1 else 0):
            group = groups.pop(0)
            yield from self._together(group)
            if not self.proposals[-1]["fate"]:
                return
            groups += halves(group)
            if not groups:
                return

    @property
    def cases(self) -> int:
        """How many train cases are needed."""
        return self._each + _TOGETHER[self.agent]

    @property
    def _each(self) -> int:
        """On how many cases the removal of each sentence is tried."""
        return max(_FEWEST, min(_MOST, _ALONE[self.agent] // max(len(self._pieces), 1)))

    def _alone(self, place: int) -> Generator[Attempt, Sequence[Pair], list[Pair]]:
        proposal = self.proposal([place], 1)
        kept = [*dropped_requirements(proposal["text"], self.text)]
        kept += [] if words(proposal["text"]) else ["nothing would be left"]
        if kept:
            self._add(proposal, _KEPT, "; ".join(kept))
            return []
        return (yield from self._tried(proposal, 0, self._each))

    def _together(self, group: list[int]) -> Trying:
        proposal = self.proposal(group, 2)
        if words(proposal["text"]):
            yield from self._tried(proposal, self._each, self.cases)
        else:
            self._add(proposal, _LOST, "nothing would be left")

    def _tried(
        self, proposal: Proposal, first: int, last: int
    ) -> Generator[Attempt, Sequence[Pair], list[Pair]]:
        """Try a removal until something is lost."""
        pairs: list[Pair] = []
        for at in range(first, last, _AT_ONCE):
            pairs += yield Attempt(proposal, at, min(at + _AT_ONCE, last))
            if any(_is_lost(each) for each in pairs):
                break
        self._add(proposal, *_judged(pairs))
        return pairs

    def proposal(self, gone: list[int], number: int) -> Proposal:
        """Return the prompt without the pieces at these places, as the next proposal."""
        said = " ".join(self._pieces[place].text for place in sorted(gone))
        return Proposal(
            ordinal=len(self.proposals) + 1,
            round=number,
            origin="diet",
            version=None,
            text=remove_sentences(self._pieces, gone),
            rationale=said,
            fate="",
            reason="",
            without=gone,
        )

    def _add(self, proposal: Proposal, fate: Any, reason: str) -> None:
        self.proposals.append(Proposal(**{**proposal, "fate": fate, "reason": reason}))


def following(trying: Trying, pairs: Sequence[Pair]) -> Attempt | None:
    """Return the attempt that follows the one that came to these pairs; None after the last."""
    try:
        return trying.send(pairs)
    except StopIteration:
        return None


def contender(proposals: Sequence[Proposal]) -> Proposal | None:
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
    made = Trimming(agent, text, list(proposals))
    return made.proposal(halves(gone)[0], 3) if len(gone) > 1 else None


def halves(group: list[int]) -> list[list[int]]:
    """Divide places in two, the better ones first; nothing is left of a single one."""
    middle = -(-len(group) // 2)
    return [group[:middle], group[middle:]] if len(group) > 1 else []


def set_aside(split: Split, count: int) -> Split:
    """Return a split with so many train cases: golden requests of regression fill what is missing.

    Nobody reads them there; and this gate asks about none of them.
    """
    missing = max(count - len(split["train"]), 0)
    golden = [case for case in split["regression"] if case["source"] == "golden"]
    moved: list[Case] = golden[:missing]
    train = [*split["train"], *moved]
    regression = [case for case in split["regression"] if case not in moved]
    print_ = fingerprint(train, split["hold_out"], regression)
    sides = {"train": train, "regression": regression, "fingerprint": print_}
    return Split(**{**split, **sides})  # type: ignore[typeddict-item]


def nothing_goes(proposals: Sequence[Mapping[str, Any]]) -> str:
    """Say that no sentence can go, and why."""
    alone = [each for each in proposals if each["round"] == 1]
    kept = sum(each["fate"] == _KEPT for each in alone)
    missed = sum(each["fate"] == _LOST for each in alone)
    others = "" if kept + missed == len(alone) else ", the others together"
    said = f"of {len(alone)} sentences, always kept: {kept}, missed: {missed}{others}"
    return f"nothing can be left out: {said}"


def _judged(pairs: Sequence[Pair]) -> tuple[str, str]:
    """Return fate and reason of a removal: it may go where nothing was lost."""
    passing = [pair for pair in pairs if pair.incumbent_passed]
    if lost := sum(map(_is_lost, pairs)):
        return _LOST, f"lost {lost} of {len(passing)} cases"
    if len(passing) < _LEAST_PASSED:
        return _LOST, f"the live prompt passes only {len(passing)} of {len(pairs)} cases"
    if _change(pairs) < -_SLACK:
        return _LOST, f"scores lower by {-_change(pairs):.2f}"
    return "", f"lost none of {len(passing)} cases, score {_change(pairs):+.2f}"


def _is_lost(pair: Pair) -> bool:
    return pair.incumbent_passed and not pair.candidate_passed


def _change(pairs: Sequence[Pair]) -> float:
    return sum(each.candidate_score - each.incumbent_score for each in pairs) / len(pairs)
