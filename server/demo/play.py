"""The demo's course: break, measure, heal, measure again."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import httpx

from selfheal.db import healings, prompts, runs
from selfheal.db.embedded.temporary import scratch_database
from selfheal.db.pool import Database, open_database
from selfheal.graph.context import Context, open_parts
from selfheal.graph.database import database_url, naming_pooled, prepare
from selfheal.graph.prompts import first_prompts
from selfheal.graph.settings import Settings
from selfheal.optimizer.context import OptimizerContext, open_optimizer_context
from selfheal.optimizer.receipt.schema import Receipt, receipt_of
from selfheal.optimizer.runner import Optimizer
from selfheal.optimizer.state import Result, State, Trigger
from selfheal.optimizer.wording import worded
from selfheal.server.app import create_app
from selfheal.server.demo.measure import Answered, Measured, broken_prompt, measure, requests
from selfheal.server.http_server import serving
from selfheal.server.optimizer_scheduler import Scheduler
from selfheal.server.service import executing, serving_from

SIMULATED = "SIMULATED"
_TIMEOUT = httpx.Timeout(600.0)


class NoSandboxError(Exception):
    """No sandbox works here, and a verdict without execution proves nothing."""


class Teller(Protocol):
    """Who shows the course while it lasts."""

    def phase(self, title: str, total: int) -> Callable[[Answered], None]:
        """Begin a phase of so many runs; return what is told of each."""
        ...

    def state(self, name: str, found: State) -> None:
        """Take notice of a state of the healing that has ended."""
        ...


@dataclass(frozen=True, slots=True)
class Story:
    """All that the demo has seen. `receipt` is null where no healing was opened."""

    model: str
    before: Measured
    healing: Result
    receipt: Receipt | None
    after: Measured | None
    unseen: Measured | None
    prompt: str

    @property
    def simulated(self) -> bool:
        """Whether the model says of itself that it is a stand-in."""
        return SIMULATED in self.model

    @property
    def healed(self) -> bool:
        """Whether a better prompt went live, and did better."""
        return self.after is not None and self.after.average_score > self.before.average_score

    @property
    def phases(self) -> list[tuple[str, Measured]]:
        """What was measured, by the phase's name, in order."""
        measured = {"before": self.before, "after": self.after, "unseen": self.unseen}
        return [(name, each) for name, each in measured.items() if each is not None]

    @property
    def improvement_percent(self) -> float | None:
        """By how much the average score rose; null where there was none to rise from."""
        if self.after is None or not self.before.average_score:
            return None
        rise = self.after.average_score - self.before.average_score
        return round(100 * rise / self.before.average_score, 1)

    def as_json(self) -> dict[str, Any]:
        """Return the figures, as other programs read them."""
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


async def play(settings: Settings, cycles: int, teller: Teller) -> Story:
    """Play the demo in a database of its own, which is dropped at the end.

    Raises:
        DatabaseUnavailableError: Postgres cannot be reached; the message names the setting.
        NoSandboxError: no sandbox works here.
    """
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(database_url(settings))
        with naming_pooled(settings):
            own = await stack.enter_async_context(scratch_database(url, "selfheal_demo"))
            database = await stack.enter_async_context(open_database(own))
        await prepare(database, {**first_prompts(), "worker": broken_prompt()})
        async with (
            open_parts(settings, database) as context,
            open_optimizer_context(settings, database, context) as doctor,
        ):
            return await _course(settings, doctor, cycles, teller)


async def _course(
    settings: Settings, doctor: OptimizerContext, cycles: int, teller: Teller
) -> Story:
    _need_sandbox(doctor.agent)
    known = requests("known") * cycles
    async with (
        serving_from(settings, doctor.database, doctor.agent) as service,
        executing(service),
        serving(create_app(service, Scheduler(doctor, every=0))) as url,
        httpx.AsyncClient(base_url=url, timeout=_TIMEOUT) as client,
    ):
        before = await measure(client, known, teller.phase("before", len(known)))
        trigger = Trigger(agent="worker", trigger="demo")
        result = await Optimizer(doctor, teller.state).run(trigger)
        after = unseen = None
        if result["outcome"] == "promoted":
            after = await measure(client, known, teller.phase("after", len(known)))
            new = requests("unseen")
            unseen = await measure(client, new, teller.phase("unseen", len(new)))
    record, model, live = await _read(doctor.database, result)
    return Story(model, before, result, record, after, unseen, live)


def _need_sandbox(context: Context) -> None:
    if context.evaluator.sandbox.name == "static":
        raise NoSandboxError


async def _read(database: Database, result: Result) -> tuple[Receipt | None, str, str]:
    """Return the receipt, the model by its own word, and the worker's live prompt."""
    async with database.connection() as connection:
        named = [run.model for run in await runs.recent(connection) if run.model]
        live = await prompts.released(connection, "worker")
        record = None
        if "healing_id" in result:
            record = receipt_of(await healings.get(connection, UUID(result["healing_id"])))
    return record, named[0] if named else "no model answered", live.text
