"""What a treatment has come to."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Treated:
    """What a treatment came to: whom it blamed, what it cost in calls and tokens, and why."""

    outcome: str
    blamed: str | None
    calls: int
    tokens: int
    seconds: float
    gates: tuple[dict[str, Any], ...] = ()
    reason: str = ""
