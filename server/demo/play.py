"""The phases of the demo: break a prompt, measure, heal, measure again."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import httpx

from selfheal.db import healings, prompts, runs
from selfheal.db.bootstrap import database_url, migrate_and_seed, naming_setting
from selfheal.db.embedded.temporary import scratch_database
from selfheal.db.pool import Database, open_database
from selfheal.graph.context import Context, open_parts
from selfheal.graph.prompts import first_prompts
from selfheal.optimizer.context import OptimizerContext, open_optimizer_context
from selfheal.optimizer.receipt.schema import Receipt, receipt_of
from selfheal.optimizer.runner import Optimizer
from selfheal.optimizer.state import Result, State, Trigger
from selfheal.optimizer.wording import worded
from selfheal.server.app import create_app
from selfheal.server.demo.measure import DemoRun, PhaseResult, broken_prompt, measure, requests
from selfheal.server.execution.optimizer_runs import OptimizerScheduler
from selfheal.server.http.server import serving
from selfheal.server.service import executing, serving_from
from selfheal.server.settings import ServerSettings

SIMULATED = "SIMULATED"
_TIMEOUT = httpx.Timeout(600.0)


class NoSandboxError(Exception):
    """No sandbox works here, and a verdict without execution is no evidence."""


class DemoObserver(Protocol):
    """Shows the progress of the demo."""

    def phase(self, title: str, total: int) -> Callable[[DemoRun], None]:
        """Begin a phase of `total` runs; return what to call after each run."""
        ...

    def state(self, name: str, updates: State) -> None:
        """Show a state of the healing that has ended, with its updates of the graph's state."""
        ...


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The result of the demo.

    Attributes:
        model: the model's name, as it answered.
        before: the runs under the broken prompt.
        healing: the outcome of the optimizer pass.
        receipt: of the healing; None if none was opened.
        after: the same requests under the healed prompt; None if none was released.
        unseen: new requests under the healed prompt; None if none was released.
        prompt: the worker's live prompt at the end.
    """

    model: str
    before: PhaseResult
    healing: Result
    receipt: Receipt | None
    after: PhaseResult | None
    unseen: PhaseResult | None
    prompt: str

    @property
    def simulated(self) -> bool:
        """Whether the model's name says that it is simulated."""
        return SIMULATED in self.model

    @property
    def healed(self) -> bool:
        """Whether a prompt was released and scores higher on average."""
        return self.after is not None and self.after.average_score > self.before.average_score

    @property
    def phases(self) -> list[tuple[str, PhaseResult]]:
        """The measured phases with their names, in order."""
        phases = {"before": self.before, "after": self.after, "unseen": self.unseen}
        return [(name, phase) for name, phase in phases.items() if phase is not None]

    @property
    def improvement_percent(self) -> float | None:
        """The relative rise of the average score in percent; None if it was 0 or not measured."""
        if self.after is None or not self.before.average_score:
            return None
        rise = self.after.average_score - self.before.average_score
        return round(100 * rise / self.before.average_score, 1)

    def as_json(self) -> dict[str, Any]:
        """Return the figures for `--json` and report.json."""
        record = self.receipt
        findings = record["findings"] if record else None
        return {
            "simulated": self.simulated,
            "model": self.model,
            "before": self.before.as_json(),
            "action": {
                "healing_id": self.healing.get("healing_id"),
                "outcome": self.healing["outcome"],
                **worded(self.healing.get("reason")),
                "root_causes": findings["root_causes"] if findings else [],
                "from_version": record["from_version"] if record else None,
                "to_version": record["to_version"] if record else None,
                "model_calls": record["model_calls"] if record else 0,
                "seconds": record["seconds"] if record else 0.0,
            },
            "after": self.after.as_json() if self.after else None,
            "unseen": self.unseen.as_json() if self.unseen else None,
            "improvement_percent": self.improvement_percent,
        }


async def run_demo(settings: ServerSettings, cycles: int, observer: DemoObserver) -> DemoResult:
    """Run the demo in a temporary database, which is dropped at the end.

    Args:
        settings: of this process.
        cycles: how often the known requests are sent, before and after.
        observer: shows the progress.

    Raises:
        DatabaseUnavailableError: Postgres cannot be reached; the message names the setting.
        NoSandboxError: no sandbox works here.
    """
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(database_url(settings))
        with naming_setting(settings):
            own = await stack.enter_async_context(scratch_database(url, "selfheal_demo"))
            database = await stack.enter_async_context(open_database(own))
        await migrate_and_seed(database, {**first_prompts(), "worker": broken_prompt()})
        async with (
            open_parts(settings, database) as agent_context,
            open_optimizer_context(settings, database, agent_context) as context,
        ):
            return await _run_phases(settings, context, cycles, observer)


async def _run_phases(
    settings: ServerSettings, context: OptimizerContext, cycles: int, observer: DemoObserver
) -> DemoResult:
    _require_sandbox(context.agent)
    known = requests("known") * cycles
    async with (
        serving_from(settings, context.database, context.agent) as service,
        executing(service),
        serving(create_app(service, OptimizerScheduler(context, 0))) as url,
        httpx.AsyncClient(base_url=url, timeout=_TIMEOUT) as client,
    ):
        before = await measure(client, known, observer.phase("before", len(known)))
        trigger = Trigger(agent="worker", trigger="demo")
        result = await Optimizer(context, observer.state).run(trigger)
        after = unseen = None
        if result["outcome"] == "promoted":
            after = await measure(client, known, observer.phase("after", len(known)))
            new = requests("unseen")
            unseen = await measure(client, new, observer.phase("unseen", len(new)))
    record, model, live = await _read(context.database, result)
    return DemoResult(model, before, result, record, after, unseen, live)


def _require_sandbox(context: Context) -> None:
    if context.evaluator.sandbox_name == "static":
        raise NoSandboxError


async def _read(database: Database, result: Result) -> tuple[Receipt | None, str, str]:
    """Return the receipt, the name under which the model answered, and the live prompt."""
    async with database.connection() as connection:
        models = [run.model for run in await runs.recent(connection) if run.model]
        live = await prompts.released(connection, "worker")
        record = None
        if "healing_id" in result:
            record = receipt_of(await healings.get(connection, UUID(result["healing_id"])))
    return record, models[0] if models else "no model answered", live.text
