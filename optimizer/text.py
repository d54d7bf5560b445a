"""Comparing texts: words, near-duplicates, shared runs of words."""

import itertools
import re
from collections.abc import Iterable

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return _WORD.findall(text.lower())


def runs_of(text: str, length: int) -> set[tuple[str, ...]]:
    """Return every run of so many words that the text contains."""
    found = words(text)
    return {tuple(found[i : i + length]) for i in range(len(found) - length + 1)}


def similarity(left: frozenset[object], right: frozenset[object]) -> float:
    """Return the Jaccard similarity of two sets, 1 for two empty ones."""
    union = len(left | right)
    return len(left & right) / union if union else 1.0


def shingles(text: str) -> frozenset[object]:
    """Return what near-duplicates have in common: words, and pairs of neighbouring words."""
    found = words(text)
    pairs: Iterable[object] = itertools.pairwise(found)
    return frozenset([*found, *pairs])
