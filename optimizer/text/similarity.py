"""Comparing texts: words, near-duplicates, shared runs of words."""

import itertools
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+")
# The letters of other alphabets that look most like Latin ones.
_LOOKALIKES = str.maketrans(
    "\u0430\u0432\u0435\u0456\u0458\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0455\u04bb\u0501\u051b\u051d"
    "\u03b1\u03b5\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u03c9",
    "abeijkmhopctyxshdqwaeikvoptuxw",
)
# A request that holds all words of a shorter one is the same request, with a word more about it.
_CONTAINED_AT, _LEAST_WORDS, _MOST_LONGER = 0.9, 12, 2.5
# The texts whose words are kept: as many as one healing compares. A long one takes a megabyte.
_REMEMBERED = 400
# Longest first, and what remains of the word has at least three letters.
_ENDINGS = ("ations", "ation", "ingly", "edly", "ings", "ies", "ing", "ers", "ely", "ed", "es")
_LAST_ENDINGS = ("er", "ly", "s", "e", "y", "i")


def plain(text: str) -> str:
    """Return a text as it reads: one form of each letter, no accents, nothing invisible."""
    if text.isascii():
        return text.lower()
    composed = unicodedata.normalize("NFKD", text).casefold().translate(_LOOKALIKES)
    return "".join(each for each in composed if unicodedata.category(each) not in ("Cf", "Mn"))


def words(text: str) -> list[str]:
    """Return the words of a text, however they are written."""
    return _WORD.findall(plain(text))


def stem(word: str) -> str:
    """Return a word without its ending, so that its forms compare as one."""
    for ending in (*_ENDINGS, *_LAST_ENDINGS):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def stems(text: str) -> set[str]:
    """Return the stems of a text's words."""
    return {stem(word) for word in words(text)}


def runs_of(text: str, length: int) -> set[tuple[str, ...]]:
    """Return every run of so many words that the text contains."""
    found = words(text)
    return {tuple(found[i : i + length]) for i in range(len(found) - length + 1)}


def similarity(left: frozenset[object], right: frozenset[object]) -> float:
    """Return the Jaccard similarity of two sets, 1 for two empty ones."""
    union = len(left | right)
    return len(left & right) / union if union else 1.0


def contained(left: str, right: str) -> bool:
    """Tell whether the longer text says all that the shorter one says, and not much more."""
    short, long = sorted((_distinct_words(left), _distinct_words(right)), key=len)
    if len(short) < _LEAST_WORDS or len(long) > _MOST_LONGER * len(short):
        return False
    return len(short & long) >= _CONTAINED_AT * len(short)


@lru_cache(maxsize=_REMEMBERED)
def _distinct_words(text: str) -> frozenset[str]:
    return frozenset(words(text))


@lru_cache(maxsize=_REMEMBERED)
def shingles(text: str) -> frozenset[object]:
    """Return what near-duplicates have in common: words, and pairs of neighbouring words."""
    found = words(text)
    pairs: Iterable[object] = itertools.pairwise(found)
    return frozenset([*found, *pairs])
