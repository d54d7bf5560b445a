"""Types of rows and of their columns. Nothing here reads or writes."""

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
    """One case run once under one prompt; `score` from 0 to 1.

    `take` is 0, and counts up where the same case is run again under the same prompt.
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
