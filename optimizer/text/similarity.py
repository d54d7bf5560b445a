"""Compares texts by their words: normal form, stems, n-grams and near-duplicates."""

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
# A request that contains nearly all words of a shorter one is a near-duplicate of it: the share of
# words, the least words of the shorter one, and how many times as long the longer one may be.
_CONTAINED_AT, _LEAST_WORDS, _MOST_LONGER = 0.9, 12, 2.5
# The texts whose words are cached: as many as one healing compares. A long one takes a megabyte.
_CACHED = 400
# Longest first. At least three letters of a word remain.
_ENDINGS = ("ations", "ation", "ingly", "edly", "ings", "ies", "ing", "ers", "ely", "ed", "es")
_LAST_ENDINGS = ("er", "ly", "s", "e", "y", "i")


def normalize(text: str) -> str:
    """Return a text in lower case, without accents, invisible characters or look-alike letters."""
    if text.isascii():
        return text.lower()
    composed = unicodedata.normalize("NFKD", text).casefold().translate(_LOOKALIKES)
    return "".join(char for char in composed if unicodedata.category(char) not in ("Cf", "Mn"))


def words(text: str) -> list[str]:
    """Return the words of a text in normal form."""
    return _WORD.findall(normalize(text))


def stem(word: str) -> str:
    """Return a word without its inflectional ending."""
    for ending in (*_ENDINGS, *_LAST_ENDINGS):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def stems(text: str) -> set[str]:
    """Return the stems of a text's words."""
    return {stem(word) for word in words(text)}


def word_ngrams(text: str, length: int) -> set[tuple[str, ...]]:
    """Return all word n-grams of a text, for n = `length`."""
    tokens = words(text)
    return {tuple(tokens[i : i + length]) for i in range(len(tokens) - length + 1)}


def jaccard(left: frozenset[object], right: frozenset[object]) -> float:
    """Return the Jaccard similarity of two sets, 1 for two empty ones."""
    union = len(left | right)
    return len(left & right) / union if union else 1.0


def mostly_contained(left: str, right: str) -> bool:
    """Tell whether one text has nearly all words of the other and is not much longer."""
    short, long = sorted((_distinct_words(left), _distinct_words(right)), key=len)
    if len(short) < _LEAST_WORDS or len(long) > _MOST_LONGER * len(short):
        return False
    return len(short & long) >= _CONTAINED_AT * len(short)


@lru_cache(maxsize=_CACHED)
def _distinct_words(text: str) -> frozenset[str]:
    return frozenset(words(text))


@lru_cache(maxsize=_CACHED)
def shingles(text: str) -> frozenset[object]:
    """Return the words of a text and its pairs of neighbouring words."""
    tokens = words(text)
    pairs: Iterable[object] = itertools.pairwise(tokens)
    return frozenset([*tokens, *pairs])
