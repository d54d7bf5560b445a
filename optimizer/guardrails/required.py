"""What a prompt must keep asking for once it has asked for it."""

import re
from collections.abc import Iterator

from selfheal.db.reasons import Reason, because
from selfheal.optimizer.text.similarity import plain

# What a prompt that asks for it goes on asking for. Each a way to find it, however it is worded.
_KEPT = {
    "type hints": re.compile(r"\btype[- ]hint|\bannotat|\btyped\b|\bits types?\b"),
    "docstrings": re.compile(r"\bdocstring|\bdocument"),
    "the standard library": re.compile(r"\bstandard library"),
    "the network": re.compile(r"\bnetwork"),
    "processes": re.compile(r"\bprocesses"),
    "distrust": re.compile(r"\b(?:not|never|n't)\s+(?:\w+\s+){0,2}(?:trust|believe|obey)|\bignore"),
}


def dropped(candidate: str, incumbent: str) -> Iterator[Reason]:
    """Yield what a prompt always has to keep and the candidate no longer has."""
    old, new = plain(incumbent), plain(candidate)
    for name, pattern in _KEPT.items():
        if pattern.search(old) and not pattern.search(new):
            yield because("drops_requirement", requirement=name)
