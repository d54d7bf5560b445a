"""What the nodes of the optimizer graph need beside its state."""

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
from selfheal.optimizer.budget import Budget
from selfheal.optimizer.settings import HealingSettings, require_proposer
from selfheal.optimizer.state import State
from selfheal.optimizer.tracing import HealingTrace


@dataclass(frozen=True, slots=True)
class OptimizerContext:
    """What optimizer passes share: built once a process.

    Attributes:
        agent: what the code agent's runs share; trials use it.
        model: diagnoses and writes prompts.
        holder: the token that this process holds leases with.
        budget: charges this process's model calls.
    """

    database: Database
    agent: Context
    model: Model
    settings: HealingSettings
    holder: UUID = field(default_factory=uuid4)
    budget: Budget = field(init=False)

    def __post_init__(self) -> None:
        budget = Budget(
            self.database,
            per_healing=self.settings.heal_budget_calls,
            per_day=self.settings.heal_daily_calls,
        )
        object.__setattr__(self, "budget", budget)

    def hold(self, healing_id: str) -> Hold:
        """Return this process's right to write to a healing."""
        return Hold(UUID(healing_id), self.holder)


class RuntimeContext(TypedDict, total=False):
    """What an invocation of the graph is given. Studio gives nothing."""

    context: OptimizerContext
    trace: HealingTrace


@asynccontextmanager
async def open_optimizer_context(
    settings: HealingSettings, database: Database, agent: Context
) -> AsyncIterator[OptimizerContext]:
    """Open what optimizer passes need beside the code agent's own context.

    Raises:
        SettingsError: the optimizer's model cannot be used, or its proposer is not installed.
    """
    require_proposer(settings.proposer)
    async with open_model(settings, models_for(settings, "optimizer")) as model:
        # Candidates are no versions yet, so their trials run here, not in the worker's role.
        own = replace(agent, worker=None)
        yield OptimizerContext(database, own, model, settings)


def optimizer_context(runtime: Runtime[RuntimeContext]) -> OptimizerContext:
    """Return the context of an invocation; in Studio, one of what the process has opened.

    Raises:
        RuntimeError: the graph was invoked without one, outside Studio.
    """
    if given := (runtime.context or {}).get("context"):
        return given
    agent, database, settings = opened()
    # Studio opens the context with the settings of the whole service.
    healing = cast("HealingSettings", settings)
    return OptimizerContext(database, agent, agent.model, healing, holder=_STUDIO)


_STUDIO = uuid4()


@contextmanager
def traced_state(
    runtime: Runtime[RuntimeContext], name: str, **inputs: Any
) -> Iterator[dict[str, Any]]:
    """Trace the body as a state of the open healing. Studio traces the graph by itself.

    Yields:
        A dict for what the state found.
    """
    trace = (runtime.context or {}).get("trace")
    if trace is None:
        yield {}
        return
    with trace.state(name, **inputs) as found:
        yield found


async def select_target(
    context: OptimizerContext, healing_id: str, state: State, agent: Agent
) -> State:
    """Make an agent's prompt the one that a healing is about; return the updates of the state."""
    incumbent = state["incumbents"][agent]
    async with context.database.connection() as connection:
        await healings.blame(connection, context.hold(healing_id), agent, incumbent["version"])
    return State(
        agent=agent,
        blamed=True,
        incumbent=incumbent,
        last_good=state["last_goods"].get(agent),
    )
