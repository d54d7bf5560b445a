"""Requirements that a candidate must keep if the incumbent has them."""

import re
from collections.abc import Iterator

from selfheal.db.reasons import Reason, because
from selfheal.optimizer.text.similarity import normalize

# Requirements by name, each with a pattern that matches its usual wordings.
_REQUIREMENTS = {
    "type hints": re.compile(r"\btype[- ]hint|\bannotat|\btyped\b|\bits types?\b"),
    "docstrings": re.compile(r"\bdocstring|\bdocument"),
    "the standard library": re.compile(r"\bstandard library"),
    "the network": re.compile(r"\bnetwork"),
    "processes": re.compile(r"\bprocesses"),
    "distrust": re.compile(r"\b(?:not|never|n't)\s+(?:\w+\s+){0,2}(?:trust|believe|obey)|\bignore"),
}


def dropped_requirements(candidate: str, incumbent: str) -> Iterator[Reason]:
    """Yield a violation for each requirement of the incumbent that the candidate lacks."""
    old, new = normalize(incumbent), normalize(candidate)
    for name, pattern in _REQUIREMENTS.items():
        if pattern.search(old) and not pattern.search(new):
            yield because("drops_requirement", requirement=name)
