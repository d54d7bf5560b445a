"""Types of rows and columns, without queries."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args
from uuid import UUID

Stage = Literal["blame", "screen", "gate"]
Origin = Literal["proven", "last_good", "predecessor", "writer", "gepa", "diet"]
Agent = Literal["manager", "worker", "evaluator"]
AGENTS: Final[tuple[Agent, ...]] = get_args(Agent)


@dataclass(frozen=True, slots=True)
class Trial:
    """One case run once under one prompt.

    Attributes:
        arm: the ordinal of the candidate; 0 for the incumbent.
        score: 0 to 1.
        take: counts repetitions of a case under the same prompt, from 0.
    """

    healing_id: UUID
    stage: Stage
    arm: int
    case_id: str
    outcome: str
    passed: bool
    score: float
    executed: bool
    calls: int
    take: int
    created_at: datetime
