"""What a pass is given beside its input."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict, cast
from uuid import UUID, uuid4

from langgraph.runtime import Runtime

from selfheal.app.llm.client import Model
from selfheal.app.llm.models import models_for, open_model
from selfheal.db import healings
from selfheal.db.healings import Hold
from selfheal.db.pool import Database
from selfheal.db.types import Agent
from selfheal.graph.context import Context, opened
from selfheal.optimizer.evaluation.budget import Budget
from selfheal.optimizer.proposers.registry import require
from selfheal.optimizer.settings import HealingSettings, ProposerName
from selfheal.optimizer.state import State
from selfheal.optimizer.tracing import HealingTrace


@dataclass(frozen=True, slots=True)
class Rules:
    """The thresholds of healing, from the settings of section 3 of the design."""

    failure_threshold: int = 3
    window_minutes: int = 30
    rollout: str = "canary"
    canary_percent: int = 50
    budget_calls: int = 400
    daily_calls: int = 2000
    concurrency: int = 4
    lease_seconds: float = 10.0
    proposer: ProposerName = "writer"

    @classmethod
    def of(cls, settings: HealingSettings) -> "Rules":
        """Read the thresholds off the settings."""
        return cls(
            failure_threshold=settings.failure_threshold,
            window_minutes=settings.failure_window_minutes,
            rollout=settings.rollout,
            canary_percent=settings.canary_percent,
            budget_calls=settings.heal_budget_calls,
            daily_calls=settings.heal_daily_calls,
            concurrency=settings.heal_concurrency,
            lease_seconds=settings.lease_seconds,
            proposer=settings.proposer,
        )


@dataclass(frozen=True, slots=True)
class Doctor:
    """All that the nodes of a pass need: built once a process. `public_url` is the service's."""

    database: Database
    agent: Context
    model: Model
    rules: Rules
    holder: UUID = field(default_factory=uuid4)
    public_url: str | None = None
    budget: Budget = field(init=False)

    def __post_init__(self) -> None:
        budget = Budget(
            self.database, per_healing=self.rules.budget_calls, per_day=self.rules.daily_calls
        )
        object.__setattr__(self, "budget", budget)

    def hold(self, healing_id: str) -> Hold:
        """Return this process's right to write to a healing."""
        return Hold(UUID(healing_id), self.holder)


class Given(TypedDict, total=False):
    """What an invocation hands to the graph. Studio sends it empty."""

    doctor: Doctor
    trace: HealingTrace


@asynccontextmanager
async def open_doctor(
    settings: HealingSettings, database: Database, agent: Context
) -> AsyncIterator[Doctor]:
    """Open what passes need beside the agent's own context.

    Raises:
        SettingsError: the optimizer's model cannot be used, or its proposer is not installed.
    """
    require(settings.proposer)
    async with open_model(settings, models_for(settings, "optimizer")) as model:
        # Candidates are no versions yet, so their trials are made here, not by the worker's role.
        own = replace(agent, worker=None)
        yield Doctor(database, own, model, Rules.of(settings), public_url=settings.public_url)


def doctor_of(runtime: Runtime[Given]) -> Doctor:
    """Return the pass's doctor. Studio gives none: then it is made of what the process opened.

    Raises:
        RuntimeError: the graph was invoked without one, outside Studio.
    """
    if given := (runtime.context or {}).get("doctor"):
        return given
    agent, database, settings = opened()
    # Studio opens the context with the settings of the whole service.
    rules = Rules.of(cast("HealingSettings", settings))
    return Doctor(database, agent, agent.model, rules, holder=_STUDIO)


@contextmanager
def traced_state(runtime: Runtime[Given], name: str, **inputs: Any) -> Iterator[dict[str, Any]]:
    """Trace what happens inside as a state of the pass's healing, which must be open.

    Studio traces the graph by itself.

    Yields:
        A dict for what the state found.
    """
    trace = (runtime.context or {}).get("trace")
    if trace is None:
        yield {}
        return
    with trace.state(name, **inputs) as found:
        yield found


_STUDIO = uuid4()


async def admit(doctor: Doctor, healing_id: str, state: State, agent: Agent) -> dict[str, Any]:
    """Make an agent the one whose prompt this healing is about; return what the state adds."""
    incumbent = state["incumbents"][agent]
    async with doctor.database.connection() as connection:
        await healings.blame(connection, doctor.hold(healing_id), agent, incumbent["version"])
    return {
        "agent": agent,
        "blamed": True,
        "incumbent": incumbent,
        "last_good": state["last_goods"].get(agent),
    }
