"""What a cue is, and how one is written down."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Cue:
    """One instruction and the many ways to word it."""

    name: str
    says: re.Pattern[str]
    unsays: re.Pattern[str] | None
    advice: tuple[str, ...]
    finding: str
    suggestion: str
    harm: bool = False
    # Whether "without X" speaks against it. A judge told to mark down code without X looks at X.
    negatable: bool = True


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{phrase})" for phrase in phrases), re.IGNORECASE)


def need(
    name: str,
    says: tuple[str, ...],
    unsays: tuple[str, ...],
    advice: tuple[str, ...],
    finding: str,
    suggestion: str,
    *,
    negatable: bool = True,
) -> Cue:
    """Return an instruction that a sound prompt gives."""
    unsaid = _any(*unsays) if unsays else None
    return Cue(name, _any(*says), unsaid, advice, finding, suggestion, negatable=negatable)


def harm(
    name: str,
    says: tuple[str, ...],
    advice: tuple[str, ...],
    finding: str,
    unsays: tuple[str, ...] = (),
) -> Cue:
    """Return an instruction that no sound prompt gives."""
    unsaid = _any(*unsays) if unsays else None
    return Cue(name, _any(*says), unsaid, advice, finding, "", harm=True)
