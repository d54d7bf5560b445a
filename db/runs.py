"""The log of runs, their evaluations, and what people said of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import psycopg

from selfheal.db import queries
from selfheal.db.encoding import json, storable
from selfheal.db.errors import NotFoundError
from selfheal.db.paging import Page, page
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all, fetch_one, fetch_optional
from selfheal.db.types import Agent

Status = Literal["pending", "running", "success", "error", "timeout", "interrupted"]
Outcome = Literal["ok", "failed", "output", "infrastructure", "model", "evaluation", "request"]

_SQL = queries.load("runs")


@dataclass(frozen=True, slots=True)
class Run:
    """One run as it was logged; `evaluation` is null until there is one."""

    id: UUID
    thread_id: UUID
    assistant: str
    status: Status
    outcome: Outcome | None
    message: str
    request: str
    examples: list[dict[str, str]]
    plan: dict[str, Any] | None
    code: str | None
    explanation: str | None
    manager_version: int | None
    worker_version: int | None
    evaluator_version: int | None
    model: str | None
    model_calls: int
    input_tokens: int
    output_tokens: int
    created_at: datetime
    finished_at: datetime | None
    evaluation: dict[str, Any] | None
    tenant: str = "local"
    kwargs: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    multitask: str = "enqueue"
    attempt: int = 0
    output: dict[str, Any] | None = None
    idempotency_key: str | None = None
    body_sha256: str | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """All that a finished run adds to its row. `outcome` is null for one that was interrupted."""

    outcome: Outcome | None
    message: str = ""
    timed_out: bool = False
    output: dict[str, Any] | None = None
    plan: dict[str, Any] | None = None
    code: str | None = None
    explanation: str | None = None
    prompt_versions: dict[str, int] | None = None
    model: str | None = None
    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    evaluation: dict[str, Any] | None = None

    @property
    def status(self) -> Status:
        """The status that it leaves the run in."""
        if self.outcome is None:
            return "interrupted"
        if self.timed_out:
            return "timeout"
        return "success" if self.outcome in ("ok", "failed") else "error"


@dataclass(frozen=True, slots=True)
class Errors:
    """Runs without a verdict for a reason that is no prompt's: how many, and the newest one's."""

    count: int
    run_id: UUID
    outcome: Outcome
    message: str


@dataclass(frozen=True, slots=True)
class Place:
    """A run, and the thread that it is on."""

    id: UUID
    thread_id: UUID


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person said of a run: a score from 0 to 1 and perhaps why."""

    id: int
    run_id: UUID
    score: float
    comment: str
    created_at: datetime


async def finish(connection: Connection, run_id: UUID, result: Finish) -> bool:
    """Record a run's one result, with its evaluation; False if one was recorded before.

    Call it in a transaction.
    """
    versions = result.prompt_versions or {}
    cursor = await connection.execute(
        _SQL["finish"],
        {
            "id": run_id,
            "status": result.status,
            "outcome": result.outcome,
            "message": storable(result.message),
            "plan": json(result.plan),
            "code": storable(result.code),
            "explanation": storable(result.explanation),
            "manager_version": versions.get("manager"),
            "worker_version": versions.get("worker"),
            "evaluator_version": versions.get("evaluator"),
            "model": result.model,
            "model_calls": result.model_calls,
            "input_tokens": result.input_tokens,
            "output_tokens": result.output_tokens,
            "output": json(result.output),
        },
    )
    if cursor.rowcount == 1 and result.evaluation is not None:
        await _record_evaluation(connection, run_id, result.evaluation)
    return cursor.rowcount == 1


async def _record_evaluation(
    connection: Connection, run_id: UUID, evaluation: dict[str, Any]
) -> None:
    await connection.execute(
        _SQL["evaluate"],
        {
            "run_id": run_id,
            "score": evaluation["score"],
            "rule_score": evaluation["rule_score"],
            "llm_score": evaluation["llm_score"],
            "passed": evaluation["passed"],
            "checks": json(evaluation["checks"]),
            "reasons": json(evaluation["reasons"]),
            "execution": json(evaluation["execution"]),
        },
    )


async def interrupt(connection: Connection, run_id: UUID, message: str) -> None:
    """Log that a run was stopped before anybody executed it; no effect on any other."""
    await connection.execute(_SQL["interrupt"], {"id": run_id, "message": message})


async def get(connection: Connection, run_id: UUID, tenant: str | None = None) -> Run:
    """Return one run with its evaluation; of a tenant's own, if one is named.

    Raises:
        NotFoundError: there is none, or it is another's.
    """
    row = await fetch_optional(connection, _SQL["get"], {"id": run_id}, Run)
    if row is None or tenant not in (None, row.tenant):
        raise NotFoundError(f"there is no run {run_id}")
    return row


async def recent(
    connection: Connection,
    *,
    tenant: str | None = None,
    limit: int = 50,
    outcome: Outcome | None = None,
    before: datetime | None = None,
) -> list[Run]:
    """Return the newest runs, newest first; a tenant's own, if one is named."""
    values = {"tenant": tenant, "limit": limit, "outcome": outcome, "before": before}
    return await fetch_all(connection, _SQL["recent"], values, Run)


async def listed(
    connection: Connection,
    tenant: str,
    *,
    limit: int,
    outcome: Outcome | None = None,
    before: datetime | None = None,
) -> Page[Run]:
    """Return a tenant's newest runs, newest first. Call it in a transaction."""
    values = {"tenant": tenant, "outcome": outcome, "before": before}
    return await page(connection, _SQL["recent"], values, Run, limit)


async def of_thread(
    connection: Connection,
    thread_id: UUID,
    tenant: str,
    *,
    status: Status | None = None,
    limit: int = 10,
    offset: int = 0,
) -> Page[Run]:
    """Return a thread's runs, newest first. Call it in a transaction."""
    values = {"thread_id": thread_id, "tenant": tenant, "status": status, "offset": offset}
    return await page(connection, _SQL["of_thread"], values, Run, limit)


async def live(
    connection: Connection, tenant: str, status: Literal["pending", "running", "all"]
) -> list[Place]:
    """Return where a tenant's runs are that have not ended."""
    return await fetch_all(connection, _SQL["live"], {"tenant": tenant, "status": status}, Place)


async def places(connection: Connection, tenant: str, ids: Sequence[UUID]) -> list[Place]:
    """Return where a tenant's runs are, in the order of their ids.

    Raises:
        NotFoundError: one of them is none, or another's.
    """
    found = {
        each.id: each
        for each in await fetch_all(
            connection, _SQL["places"], {"tenant": tenant, "ids": list(ids)}, Place
        )
    }
    for run_id in ids:
        if run_id not in found:
            raise NotFoundError(f"there is no run {run_id}")
    return [found[run_id] for run_id in ids]


async def of_key(connection: Connection, tenant: str, idempotency_key: str) -> Run | None:
    """Return the run that a tenant asked for under an idempotency key.

    Call it in a transaction: until that ends, others who look for the same key wait.
    """
    values = {"tenant": tenant, "idempotency_key": idempotency_key}
    await connection.execute(_SQL["hold_key"], values)
    return await fetch_optional(connection, _SQL["of_key"], values, Run)


async def delete(connection: Connection, run_id: UUID) -> None:
    """Delete a run with its verdict, its events, and what people said of it."""
    await connection.execute(_SQL["delete"], {"id": run_id})


async def add_feedback(
    connection: Connection, run_id: UUID, *, score: float, comment: str = ""
) -> Feedback:
    """Store what a person said of a run.

    Raises:
        NotFoundError: there is no such run.
    """
    values = {"run_id": run_id, "score": score, "comment": storable(comment)}
    try:
        return await fetch_one(connection, _SQL["add_feedback"], values, Feedback)
    except psycopg.errors.ForeignKeyViolation as error:
        raise NotFoundError(f"there is no run {run_id}") from error


async def feedback(connection: Connection, run_id: UUID) -> list[Feedback]:
    """Return what was said of a run, in order."""
    return await fetch_all(connection, _SQL["feedback"], {"run_id": run_id}, Feedback)


async def window(
    connection: Connection, live: Mapping[Agent, int], *, minutes: int, limit: int = 500
) -> list[Run]:
    """Return the ended runs under all the live versions within the last minutes, newest first."""
    values = {**{str(agent): live[agent] for agent in live}, "minutes": minutes, "limit": limit}
    return await fetch_all(connection, _SQL["window"], values, Run)


async def errors(connection: Connection, *, minutes: int) -> Errors | None:
    """Return the runs of the last minutes that failed for a reason that is no prompt's, if any."""
    return await fetch_optional(connection, _SQL["errors"], {"minutes": minutes}, Errors)


async def of_ids(connection: Connection, ids: Sequence[UUID]) -> list[Run]:
    """Return the runs with these ids, oldest first; unknown ids are passed over."""
    return await fetch_all(connection, _SQL["of_ids"], {"ids": list(ids)}, Run)


async def record(
    connection: Connection, agent: Agent, live: Mapping[Agent, int], *, minutes: int
) -> dict[int, tuple[int, int]]:
    """Return for each version of an agent how many verdicts it has and how many passed.

    Of the live version, only what is older than the window of so many minutes. Verdicts of
    another evaluator than the live one do not compare, and are left out.
    """
    values = {
        "agent": agent,
        "version": live[agent],
        "evaluator": live["evaluator"],
        "minutes": minutes,
    }
    cursor = await connection.execute(_SQL["record"], values)
    rows = await cursor.fetchall()
    return {row["version"]: (row["runs"], row["passed"]) for row in rows if row["version"]}


async def marked(connection: Connection, limit: int) -> dict[UUID, float]:
    """Return the mean of people's marks, 0 to 1, for the runs last marked that a judge judged."""
    cursor = await connection.execute(_SQL["marked"], {"limit": limit})
    return {row["id"]: float(row["mark"]) for row in await cursor.fetchall()}
