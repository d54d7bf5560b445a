"""Splits a prompt into sentences, and removes some of them."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from selfheal.optimizer.text.similarity import words

SENTENCE_END = re.compile(
    r"(?<=[.!?])[\"')\]]*\s+|\n\s*\n|\n(?=\s*(?:[-*#\u2022]|\d+[.)])\s)|(?<=[.!?])\n"
)
# English, like the shipped prompts. A false positive costs a few words in the candidate; a false
# negative is visible in the candidate's diff.
_LIMIT: Final = re.compile(
    r"n't\b|\b(?:never|not|no|nor|cannot|only|must|without|avoid|ignore|nothing|forbid\w*|refuse\w*)\b",
    re.IGNORECASE,
)
_QUOTES: Final = "\"')]*"
_MARKER: Final = re.compile(r"\s*(?:[-*\u2022]|\d+[.)])\s*")
_LOWER_CASE: Final = re.compile(r"\s*[a-z]")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with its list marker, and the space between it and the next sentence."""

    text: str
    after: str


def split_sentences(text: str, most: int, *, whole_lists: bool = True) -> list[Sentence]:
    """Split a prompt into its sentences.

    Args:
        text: the prompt.
        most: the most sentences to return; of a longer prompt, neighbours are joined.
        whole_lists: a list is one sentence with the line that introduces it; otherwise each of its
            items is a sentence.
    """
    sentences: list[Sentence] = []
    for part in _parts(text.strip()):
        if sentences and _belong_together(sentences[-1], part, whole_lists=whole_lists):
            last = sentences.pop()
            sentences.append(Sentence(last.text + last.after + part.text, part.after))
        else:
            sentences.append(part)
    size = -(-len(sentences) // most)
    return [_joined(sentences[at : at + size]) for at in range(0, len(sentences), size)]


def remove_sentences(sentences: Sequence[Sentence], removed: Collection[int]) -> str:
    """Return the prompt without the sentences at the given indices.

    Around removed sentences the widest space is kept. The list marker of a removed sentence is
    given to the rest of its line.
    """
    text, gap, marker = "", "", ""
    for index, sentence in enumerate(sentences):
        if index in removed:
            own = _MARKER.match(sentence.text)
            marker = "" if "\n" in sentence.after else marker or (own[0] if own else "")
            gap = max(gap, sentence.after, key=lambda space: (space.count("\n"), len(space)))
            continue
        text += (gap if text else "") + marker + sentence.text
        gap, marker = sentence.after, ""
    return text.strip()


def restricts(sentence: str) -> bool:
    """Tell whether a sentence forbids or restricts something."""
    return _LIMIT.search(sentence) is not None


def _parts(text: str) -> Iterator[Sentence]:
    start = 0
    for end in SENTENCE_END.finditer(text):
        closing = len(end[0]) - len(end[0].lstrip(_QUOTES))
        at = end.start() + closing
        yield Sentence(text[start:at], text[at : end.end()])
        start = end.end()
    yield Sentence(text[start:], "")


def _belong_together(last: Sentence, then: Sentence, *, whole_lists: bool) -> bool:
    """Tell whether two parts are one sentence: around a list, a number or an abbreviation."""
    listed = whole_lists and last.text.rstrip().endswith((":", ",", ";"))
    if not words(then.text) or listed:
        return True
    same_line = "\n" not in last.after
    return same_line and bool(_MARKER.fullmatch(last.text) or _LOWER_CASE.match(then.text))


def _joined(sentences: Sequence[Sentence]) -> Sentence:
    *others, last = sentences
    return Sentence(
        "".join(sentence.text + sentence.after for sentence in others) + last.text, last.after
    )
