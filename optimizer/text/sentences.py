"""A prompt in pieces of a sentence each, and the prompt without some of them: pure."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from selfheal.optimizer.text.similarity import words

SENTENCE_END = re.compile(
    r"(?<=[.!?])[\"')\]]*\s+|\n\s*\n|\n(?=\s*(?:[-*#\u2022]|\d+[.)])\s)|(?<=[.!?])\n"
)
_QUOTES: Final = "\"')]*"
_MARKER: Final = re.compile(r"\s*(?:[-*\u2022]|\d+[.)])\s*")
_GOES_ON: Final = re.compile(r"\s*[a-z]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence with its list marker, and the space between it and the next one."""

    text: str
    after: str


def pieces(text: str, most: int) -> list[Piece]:
    """Cut a prompt into its sentences; a list stays with the line that announces it.

    Args:
        text: the prompt.
        most: of a prompt of more sentences, neighbours are taken together.
    """
    found: list[Piece] = []
    for each in _cut(text.strip()):
        if found and _belong_together(found[-1], each):
            last = found.pop()
            each = Piece(last.text + last.after + each.text, each.after)  # noqa: PLW2901
        found.append(each)
    size = -(-len(found) // most)
    return [_joined(found[place : place + size]) for place in range(0, len(found), size)]


def without(found: Sequence[Piece], gone: Collection[int]) -> str:
    """Return the prompt without the pieces at these places.

    The widest space around what is gone stays, and a list marker goes to the rest of its line.
    """
    text, gap, marker = "", "", ""
    for place, piece in enumerate(found):
        if place in gone:
            own = _MARKER.match(piece.text)
            marker = "" if "\n" in piece.after else marker or (own[0] if own else "")
            gap = max(gap, piece.after, key=lambda each: (each.count("\n"), len(each)))
            continue
        text += (gap if text else "") + marker + piece.text
        gap, marker = piece.after, ""
    return text.strip()


def _cut(text: str) -> Iterator[Piece]:
    start = 0
    for end in SENTENCE_END.finditer(text):
        closing = len(end[0]) - len(end[0].lstrip(_QUOTES))
        at = end.start() + closing
        yield Piece(text[start:at], text[at : end.end()])
        start = end.end()
    yield Piece(text[start:], "")


def _belong_together(last: Piece, then: Piece) -> bool:
    """Tell whether what looks like two sentences is one: a list, a number, an abbreviation."""
    if not words(then.text) or last.text.rstrip().endswith((":", ",", ";")):
        return True
    same_line = "\n" not in last.after
    return same_line and bool(_MARKER.fullmatch(last.text) or _GOES_ON.match(then.text))


def _joined(found: Sequence[Piece]) -> Piece:
    *others, last = found
    return Piece("".join(each.text + each.after for each in others) + last.text, last.after)
