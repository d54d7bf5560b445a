"""The log of runs, with their evaluations and feedback."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypedDict
from uuid import UUID

import psycopg

from selfheal.db import queries
from selfheal.db.encoding import json, storable
from selfheal.db.errors import NotFoundError
from selfheal.db.paging import Page, page
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all, fetch_one, fetch_optional
from selfheal.db.run_requests import Multitask, RunOptions
from selfheal.db.types import Agent

Status = Literal["pending", "running", "success", "error", "timeout", "interrupted"]
Outcome = Literal["ok", "failed", "output", "infrastructure", "model", "evaluation", "request"]

FAILED: Final[tuple[Outcome, ...]] = ("failed", "output")
"""The outcomes of runs that failed by what a prompt can influence."""
COUNTABLE: Final[tuple[Outcome, ...]] = ("ok", *FAILED)
"""The outcomes of runs that are evidence about a prompt."""

_SQL = queries.load("runs")


class Failure(TypedDict):
    """Why a run has no result: in the thread's row, in answers, in webhooks."""

    error: str
    message: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it is logged.

    Attributes:
        outcome: None until it has ended, and for one that was interrupted.
        evaluation: the verdict; None if there is none.
        unusable: the agent whose model answered in a form that cannot be used; None if none did.
        kwargs: its options as they are stored; see `options`.
        output: what the graph returned.
        body_sha256: hash of the request, to compare requests with the same idempotency key.
    """

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
    multitask: Multitask = "enqueue"
    attempt: int = 0
    output: dict[str, Any] | None = None
    idempotency_key: str | None = None
    body_sha256: str | None = None
    updated_at: datetime | None = None
    unusable: Agent | None = None

    @property
    def options(self) -> RunOptions:
        """How it is executed."""
        return RunOptions.parse(self.kwargs)

    @property
    def failure(self) -> Failure | None:
        """Why it has no result; None if it has one, has not ended, or was interrupted."""
        return _failure(self.status, self.outcome, self.message)


@dataclass(frozen=True, slots=True)
class RunResult:
    """What is stored when a run ends.

    Attributes:
        outcome: None if it was interrupted.
        message: what went wrong, for operators and callers.
        output: what the caller gets.
        values: the state that its thread is left in; None leaves the stored one.
        prompt_versions: the version of each agent's prompt.
        usage: `calls`, `input_tokens` and `output_tokens` by agent; `model_calls` and the token
            counts are their sums.
        unusable: the agent whose model answered in a form that cannot be used.
    """

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
    values: dict[str, Any] | None = None
    usage: Mapping[str, Any] | None = None
    unusable: Agent | None = None

    @property
    def status(self) -> Status:
        """The status of the ended run."""
        if self.outcome is None:
            return "interrupted"
        if self.timed_out:
            return "timeout"
        return "success" if self.outcome in ("ok", "failed") else "error"

    @property
    def failure(self) -> Failure | None:
        """Why the run has no result; None if it has one or was interrupted."""
        return _failure(self.status, self.outcome, self.message)


def _failure(status: Status, outcome: Outcome | None, message: str) -> Failure | None:
    if status not in ("error", "timeout") or outcome is None:
        return None
    return Failure(error=outcome, message=message)


@dataclass(frozen=True, slots=True)
class Errors:
    """Runs that failed for a reason that no prompt can influence: their number, and the newest."""

    count: int
    run_id: UUID
    outcome: Outcome
    message: str


@dataclass(frozen=True, slots=True)
class CountableRun:
    """A run that is evidence about the prompts under which it ran."""

    id: UUID
    outcome: Outcome
    finished_at: datetime

    @property
    def failed(self) -> bool:
        """Whether it speaks against them."""
        return self.outcome in FAILED


@dataclass(frozen=True, slots=True)
class RunRef:
    """The ids of a run and of its thread."""

    id: UUID
    thread_id: UUID


@dataclass(frozen=True, slots=True)
class Feedback:
    """A user's feedback on a run. `score` is from 0 to 1."""

    id: int
    run_id: UUID
    score: float
    comment: str
    created_at: datetime


async def finish(connection: Connection, run_id: UUID, result: RunResult) -> bool:
    """Store the result of a run, with its evaluation. Call it in a transaction.

    Returns:
        False if the run had ended already: a result is stored once.
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
            "usage": json(result.usage),
            "unusable": result.unusable,
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


async def get(connection: Connection, run_id: UUID, tenant: str | None = None) -> Run:
    """Return a run with its evaluation.

    Args:
        connection: to the database.
        run_id: the run.
        tenant: whose run it must be; None for any tenant's.

    Raises:
        NotFoundError: there is none, or it is another tenant's.
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
    """Return runs, newest first.

    Args:
        connection: to the database.
        tenant: whose runs; None for all.
        limit: the most runs to return.
        outcome: only runs with this outcome.
        before: only runs created before this moment.
    """
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
    """Return a page of a tenant's runs, newest first. Call it in a transaction."""
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
    """Return a page of a thread's runs, newest first. Call it in a transaction."""
    values = {"thread_id": thread_id, "tenant": tenant, "status": status, "offset": offset}
    return await page(connection, _SQL["of_thread"], values, Run, limit)


async def live(
    connection: Connection, tenant: str, status: Literal["pending", "running", "all"]
) -> list[RunRef]:
    """Return a tenant's unfinished runs.

    Args:
        connection: to the database.
        tenant: whose rows are read.
        status: only runs in this status; `all` for both.
    """
    return await fetch_all(connection, _SQL["live"], {"tenant": tenant, "status": status}, RunRef)


async def refs(connection: Connection, tenant: str, ids: Sequence[UUID]) -> list[RunRef]:
    """Return a tenant's runs by their ids, in the same order.

    Raises:
        NotFoundError: one of them does not exist, or is another tenant's.
    """
    found = {
        each.id: each
        for each in await fetch_all(
            connection, _SQL["refs"], {"tenant": tenant, "ids": list(ids)}, RunRef
        )
    }
    for run_id in ids:
        if run_id not in found:
            raise NotFoundError(f"there is no run {run_id}")
    return [found[run_id] for run_id in ids]


async def by_key(connection: Connection, tenant: str, idempotency_key: str) -> Run | None:
    """Return a tenant's run with an idempotency key, None if there is none.

    Call it in a transaction: until it ends, other transactions that look for the key wait.
    """
    values = {"tenant": tenant, "idempotency_key": idempotency_key}
    await connection.execute(_SQL["lock_key"], values)
    return await fetch_optional(connection, _SQL["by_key"], values, Run)


async def delete(connection: Connection, run_id: UUID) -> None:
    """Delete a run with its evaluation, events and feedback."""
    await connection.execute(_SQL["delete"], {"id": run_id})


async def add_feedback(
    connection: Connection, run_id: UUID, *, score: float, comment: str = ""
) -> Feedback:
    """Store feedback on a run. `score` is from 0 to 1.

    Raises:
        NotFoundError: there is no such run.
    """
    values = {"run_id": run_id, "score": score, "comment": storable(comment)}
    try:
        return await fetch_one(connection, _SQL["add_feedback"], values, Feedback)
    except psycopg.errors.ForeignKeyViolation as error:
        raise NotFoundError(f"there is no run {run_id}") from error


async def feedback(connection: Connection, run_id: UUID) -> list[Feedback]:
    """Return the feedback on a run, oldest first."""
    return await fetch_all(connection, _SQL["feedback"], {"run_id": run_id}, Feedback)


async def countable(
    connection: Connection, live: Mapping[Agent, int], *, limit: int
) -> list[CountableRun]:
    """Return the newest runs that are evidence about the live versions, newest first.

    Args:
        connection: to the database.
        live: the live version of each agent. Runs before the newest release are left out.
        limit: the most runs to return.
    """
    values = {
        **{str(agent): live[agent] for agent in live},
        "countable": list(COUNTABLE),
        "limit": limit,
    }
    return await fetch_all(connection, _SQL["countable"], values, CountableRun)


async def failed_since(
    connection: Connection, live: Mapping[Agent, int], *, since: datetime, limit: int
) -> list[Run]:
    """Return runs under all live versions that a prompt may have caused to fail, oldest first."""
    values = {**{str(agent): live[agent] for agent in live}, "since": since, "limit": limit}
    return await fetch_all(connection, _SQL["failed_since"], values, Run)


async def errors(connection: Connection, *, minutes: int) -> Errors | None:
    """Return the runs of the last minutes that failed for reasons that no prompt can influence."""
    return await fetch_optional(connection, _SQL["errors"], {"minutes": minutes}, Errors)


async def of_ids(connection: Connection, ids: Sequence[UUID]) -> list[Run]:
    """Return the runs with these ids, oldest first; unknown ids are ignored."""
    return await fetch_all(connection, _SQL["of_ids"], {"ids": list(ids)}, Run)


async def record(
    connection: Connection, agent: Agent, live: Mapping[Agent, int], *, minutes: int
) -> dict[int, tuple[int, int]]:
    """Return for each version of an agent's prompt its number of verdicts and of passes.

    Of the live version only runs older than the window count. Verdicts under another evaluator
    version than the live one are not comparable, and do not count.

    Args:
        connection: to the database.
        agent: whose versions are counted.
        live: the live version of each agent.
        minutes: the length of the window.
    """
    values = {
        "agent": agent,
        "version": live[agent],
        "evaluator": live["evaluator"],
        "countable": list(COUNTABLE),
        "minutes": minutes,
    }
    cursor = await connection.execute(_SQL["record"], values)
    rows = await cursor.fetchall()
    return {row["version"]: (row["runs"], row["passed"]) for row in rows if row["version"]}


async def usual_tokens(
    connection: Connection, agent: Agent, version: int, *, limit: int
) -> tuple[int, float]:
    """Return the tokens of one call of an agent in the newest runs that passed under a version.

    Returns:
        The number of runs that were looked at, and the geometric mean over them; 0 without any.
    """
    values = {"agent": agent, "version": version, "limit": limit}
    cursor = await connection.execute(_SQL["usual_tokens"], values)
    row = await cursor.fetchone()
    return (row["runs"], row["tokens"] or 0.0) if row else (0, 0.0)


async def marked(connection: Connection, limit: int) -> dict[UUID, float]:
    """Return the mean feedback score, 0 to 1, of the judged runs with the newest feedback."""
    cursor = await connection.execute(_SQL["marked"], {"limit": limit})
    return {row["id"]: float(row["mark"]) for row in await cursor.fetchall()}
