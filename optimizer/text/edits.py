"""A rewritten prompt as edits of the prompt before it: what it adds, and what it drops."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from selfheal.optimizer.text.phrases import join_phrases, split_phrases
from selfheal.optimizer.text.sentences import Sentence, remove_sentences, split_sentences
from selfheal.optimizer.text.similarity import words

_MOST_SENTENCES: Final = 200

Words: TypeAlias = tuple[str, ...]
Unit: TypeAlias = tuple[int, int]
"""An added phrase: the place of its sentence in the edited prompt, and its own in the sentence."""


@dataclass(frozen=True, slots=True)
class Part:
    """A sentence of the candidate, or one that it drops, in the order of both texts.

    Attributes:
        phrases: its phrases.
        after: the space that follows.
        kind: how the candidate treats it.
        new: the places of the phrases that are new, of an added sentence.
    """

    phrases: tuple[str, ...]
    after: str
    kind: Literal["kept", "added", "dropped"]
    new: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class EditedPrompt:
    """A candidate as edits of the incumbent, each of which can be undone."""

    parts: tuple[Part, ...]

    @property
    def added(self) -> list[list[Unit]]:
        """The new phrases of each added sentence."""
        return [
            [(place, phrase) for phrase in part.new]
            for place, part in enumerate(self.parts)
            if part.new
        ]

    @property
    def dropped(self) -> list[int]:
        """The places of the sentences that are dropped."""
        return [place for place, part in enumerate(self.parts) if part.kind == "dropped"]

    def phrase(self, unit: Unit) -> str:
        """Return the text of an added phrase."""
        return self.parts[unit[0]].phrases[unit[1]].strip()

    def sentence(self, place: int) -> str:
        """Return the text of a sentence."""
        return "".join(self.parts[place].phrases).strip()

    def text(self, removed: Set[Unit] = frozenset(), restored: Set[int] = frozenset()) -> str:
        """Return the candidate without some added phrases, and with some dropped sentences."""
        sentences: list[Sentence] = []
        absent: set[int] = set()
        for place, part in enumerate(self.parts):
            kept = [at for at in range(len(part.phrases)) if (place, at) not in removed]
            text = join_phrases(part.phrases, kept)
            if not text or (part.kind == "dropped" and place not in restored):
                absent.add(len(sentences))
            sentences.append(Sentence(text or "".join(part.phrases), part.after or "\n"))
        return remove_sentences(sentences, absent)


def edited(candidate: str, incumbent: str, anchor: str, exempt: Sequence[str] = ()) -> EditedPrompt:
    """Return the edits of a candidate.

    Args:
        candidate: the text that a model wrote.
        incumbent: the live prompt.
        anchor: the newest prompt up to the incumbent that the optimizer did not write. What is
            dropped of it counts; what an earlier healing has added may be dropped.
        exempt: sentences that other versions written by a person, or proven, contain.
    """
    old, new = _sentences(incumbent), _sentences(candidate)
    first = _sentences(anchor or incumbent)
    trusted = [*old, *first, *(Sentence(each, "") for each in exempt)]
    known = {word_key(each.text) for each in trusted}
    phrases = {word_key(phrase) for each in trusted for phrase in split_phrases(each.text)}
    kept = {word_key(each.text) for each in new}
    own = {word_key(each.text) for each in first}
    gone = {at for at, each in enumerate(old) if word_key(each.text) in own - kept}
    parts = [_part(each, known, phrases) for each in new]
    return EditedPrompt(tuple(_merged(old, gone, new, parts)))


def exempt_sentences(candidate: str, trusted: Sequence[str]) -> list[str]:
    """Return the sentences of a candidate that a trusted text contains.

    Args:
        candidate: the text that a model wrote.
        trusted: versions that a person wrote, and versions with a good record.
    """
    known = {word_key(each.text) for text in trusted for each in _sentences(text)}
    return [each.text for each in _sentences(candidate) if word_key(each.text) in known]


def _sentences(text: str) -> list[Sentence]:
    return split_sentences(text, _MOST_SENTENCES, whole_lists=False) if text.strip() else []


def word_key(text: str) -> Words:
    """Return the words of a text: texts with the same words are the same."""
    return tuple(words(text))


def _part(sentence: Sentence, known: Set[Words], phrases: Set[Words]) -> Part:
    """Return a sentence of the candidate, with those of its phrases that are new."""
    if word_key(sentence.text) in known or not words(sentence.text):
        return Part((sentence.text,), sentence.after, "kept")
    split = tuple(split_phrases(sentence.text))
    new = [at for at, phrase in enumerate(split) if word_key(phrase) not in phrases]
    # Known phrases in a new order may say something new.
    return Part(split, sentence.after, "added", tuple(new or range(len(split))))


def _merged(
    old: Sequence[Sentence], gone: Set[int], new: Sequence[Sentence], parts: Sequence[Part]
) -> list[Part]:
    """Put each dropped sentence behind the sentence that it followed in the incumbent."""
    place = {word_key(each.text): at for at, each in enumerate(new)}
    behind: dict[int, list[Part]] = {}
    at = -1
    for number, sentence in enumerate(old):
        if number in gone:
            dropped = Part((sentence.text,), sentence.after, "dropped")
            behind.setdefault(at, []).append(dropped)
        else:
            at = place.get(word_key(sentence.text), at)
    merged = list(behind.get(-1, []))
    for number, part in enumerate(parts):
        merged += [part, *behind.get(number, [])]
    return merged
