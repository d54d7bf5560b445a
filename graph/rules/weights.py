"""The rules of fact and their weights: the one table."""

from dataclasses import dataclass, field
from typing import Final

WEIGHTS: Final[dict[str, float]] = {
    "parses": 0.10,
    "defines": 0.15,
    "runs": 0.15,
    "examples": 0.30,  # stated in the request: they decide
    "inferred_examples": 0.10,  # the manager's own: they only count, since it may be wrong
    "placeholders": 0.10,
    "linter": 0.04,
    "documented": 0.03,
    "typed": 0.03,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule saw: a score from 0 to 1, words, and whether it forbids a pass."""

    name: str
    score: float
    detail: str = ""
    veto: bool = field(default=False, kw_only=True)
