"""The rules of the deterministic checks and their weights."""

from dataclasses import dataclass, field
from typing import Final

WEIGHTS: Final[dict[str, float]] = {
    "parses": 0.10,
    "defines": 0.15,
    "runs": 0.15,
    "examples": 0.30,  # stated in the request: a broken one is a veto
    "inferred_examples": 0.10,  # by the manager, which may be wrong
    "placeholders": 0.10,
    "linter": 0.04,
    "documented": 0.03,
    "typed": 0.03,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a rule.

    Attributes:
        name: a key of `WEIGHTS`.
        score: 0 to 1.
        detail: for people; empty if all is well.
        veto: the program must not pass.
    """

    name: str
    score: float
    detail: str = ""
    veto: bool = field(default=False, kw_only=True)
