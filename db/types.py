"""Types of rows and columns, without queries."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args
from uuid import UUID

from selfheal.db.reasons import Reason

Agent = Literal["manager", "worker", "evaluator"]
AGENTS: Final[tuple[Agent, ...]] = get_args(Agent)
Action = Literal["seed", "activate", "rollback", "heal", "canary", "promote", "take_back"]
Stage = Literal["blame", "screen", "edits", "gate"]
Origin = Literal[
    "staged", "proven", "last_good", "predecessor", "writer", "gepa", "reduced", "diet"
]


@dataclass(frozen=True, slots=True)
class Trial:
    """One case run once under one prompt.

    Attributes:
        arm: the ordinal of the candidate; 0 for the incumbent.
        score: 0 to 1.
        take: counts repetitions of a case under the same prompt, from 0.
        tokens: input and output of the call that the prompt was used in; None if unknown.
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
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """One entry of an agent's release log: from here on `version` is live.

    In a canary it is live for `percent` of the threads, and `base_version` for the others. A pinned
    release is never rolled back automatically.

    Attributes:
        note: what an operator wrote.
        reason: why the optimizer made it; null where an operator did.
    """

    id: int
    agent: Agent
    previous_release_id: int | None
    action: Action
    version: int
    actor: str
    note: str
    created_at: datetime
    healing_id: UUID | None
    base_version: int | None
    percent: int
    pinned: bool
    reason: Reason | None = None

    @property
    def incumbent(self) -> int:
        """The version that is live for all, or was before the canary."""
        return self.version if self.base_version is None else self.base_version


@dataclass(frozen=True, slots=True)
class VersionStats:
    """Results of a version's runs.

    Attributes:
        runs: with a verdict, or with an unusable answer, which scores 0.
        mean: of their scores, 0 to 1.
        variance: of their scores.
        errors: runs without a verdict for a reason that no prompt causes.
        p95_seconds: 95th percentile of the durations; None without any run.
        priced: passing runs whose tokens are known.
        tokens: geometric mean of the tokens of the agent's own calls in these, input and output;
            None without any.
    """

    runs: int
    mean: float
    variance: float
    errors: int
    p95_seconds: float | None
    priced: int = 0
    tokens: float | None = None


@dataclass(frozen=True, slots=True)
class AnswerStats:
    """How an agent's model answered under a version: one answer a run, which was retried once.

    Attributes:
        answers: that arrived.
        unusable: of these; they were cut off or did not fit their schema, or held no code.
        usable_first: of these, the usable ones before the first unusable one.
    """

    answers: int
    unusable: int
    usable_first: int
