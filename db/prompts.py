"""Prompt versions and the release log. A version is never changed; a release follows another."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from db import queries
from db.errors import NotFoundError, ReleaseConflictError
from db.pool import Connection

Agent = Literal["manager", "worker", "evaluator"]
Action = Literal["seed", "activate", "rollback", "heal"]

Row = TypeVar("Row")

_SQL = queries.load("prompts")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One immutable version of an agent's prompt: literal text, never a template."""

    agent: Agent
    version: int
    text: str
    parent: int | None
    author: str
    note: str
    sha256: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Release:
    """One step of an agent's release log: from here on `version` is live."""

    id: int
    agent: Agent
    previous_release_id: int | None
    action: Action
    version: int
    actor: str
    note: str
    created_at: datetime
    healing_id: UUID | None


async def add(
    connection: Connection,
    agent: Agent,
    text: str,
    *,
    author: str,
    parent: int | None = None,
    note: str = "",
) -> Prompt:
    """Store a new version, one more than the newest; it is not released by this.

    Raises:
        ReleaseConflictError: somebody added a version at the same moment.
        NotFoundError: `parent` is no version of this agent.
    """
    values = {
        "agent": agent,
        "text": text,
        "parent": parent,
        "author": author,
        "note": note,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    cursor = connection.cursor(row_factory=class_row(Prompt))
    try:
        row = await (await cursor.execute(_SQL["add"], values)).fetchone()
    except psycopg.errors.UniqueViolation as error:
        raise ReleaseConflictError(f"another version of {agent} was added just now") from error
    except psycopg.errors.ForeignKeyViolation as error:
        raise NotFoundError(f"{agent} has no version {parent} to descend from") from error
    assert row is not None  # noqa: S101 - INSERT … RETURNING gives a row or raises
    return row


async def get(connection: Connection, agent: Agent, version: int) -> Prompt:
    """Return one version.

    Raises:
        NotFoundError: there is none.
    """
    cursor = connection.cursor(row_factory=class_row(Prompt))
    await cursor.execute(_SQL["get"], {"agent": agent, "version": version})
    return _found(await cursor.fetchone(), f"{agent} has no prompt version {version}")


async def versions(connection: Connection, agent: Agent) -> list[Prompt]:
    """Return all versions of an agent, newest first."""
    cursor = connection.cursor(row_factory=class_row(Prompt))
    return await (await cursor.execute(_SQL["versions"], {"agent": agent})).fetchall()


async def released(connection: Connection, agent: Agent) -> Prompt:
    """Return the prompt that is live now.

    Raises:
        NotFoundError: nothing was ever released for this agent.
    """
    cursor = connection.cursor(row_factory=class_row(Prompt))
    await cursor.execute(_SQL["released"], {"agent": agent})
    return _found(await cursor.fetchone(), f"no prompt of {agent} was ever released")


async def head(connection: Connection, agent: Agent) -> Release:
    """Return the newest release of an agent.

    Raises:
        NotFoundError: nothing was ever released for this agent.
    """
    cursor = connection.cursor(row_factory=class_row(Release))
    await cursor.execute(_SQL["head"], {"agent": agent})
    return _found(await cursor.fetchone(), f"no prompt of {agent} was ever released")


async def releases(connection: Connection, agent: Agent, limit: int = 50) -> list[Release]:
    """Return the newest releases of an agent, newest first."""
    cursor = connection.cursor(row_factory=class_row(Release))
    await cursor.execute(_SQL["releases"], {"agent": agent, "limit": limit})
    return await cursor.fetchall()


async def release(
    connection: Connection,
    agent: Agent,
    version: int,
    *,
    after: Release | None,
    action: Action,
    actor: str,
    note: str = "",
    healing_id: UUID | None = None,
) -> Release:
    """Make `version` live, provided that `after` is still the newest release.

    Args:
        after: the release that the caller decided upon; None for an agent's first.

    Raises:
        ReleaseConflictError: another release came between: compare-and-swap failed.
        NotFoundError: the version does not exist.
    """
    values = {
        "agent": agent,
        "version": version,
        "previous": after.id if after else None,
        "action": action,
        "actor": actor,
        "note": note,
        "healing_id": healing_id,
    }
    cursor = connection.cursor(row_factory=class_row(Release))
    try:
        row = await (await cursor.execute(_SQL["release"], values)).fetchone()
    except psycopg.errors.UniqueViolation as error:
        raise ReleaseConflictError(f"{agent} was released by somebody else just now") from error
    except psycopg.errors.ForeignKeyViolation as error:
        raise NotFoundError(f"{agent} has no prompt version {version}") from error
    assert row is not None  # noqa: S101 - INSERT … RETURNING gives a row or raises
    return row


async def rollback(connection: Connection, agent: Agent, *, actor: str, note: str = "") -> Release:
    """Make the version live that was live before the present one; again, the one before that.

    Raises:
        NotFoundError: no other version was ever live.
        ReleaseConflictError: another release came between.
    """
    current = await head(connection, agent)
    cursor = connection.cursor(row_factory=class_row(Release))
    await cursor.execute(_SQL["before"], {"agent": agent, "version": current.version})
    before = _found(await cursor.fetchone(), f"{agent} has no earlier release to go back to")
    return await release(
        connection, agent, before.version, after=current, action="rollback", actor=actor, note=note
    )


async def seed(connection: Connection, texts: Mapping[Agent, str]) -> list[Agent]:
    """Give each agent that has no prompt yet its first one, released; return those agents.

    Call it in a transaction. Of several processes that seed at once, one wins and the others
    find its prompts.
    """
    seeded: list[Agent] = []
    for agent, text in texts.items():
        try:
            async with connection.transaction():
                if await versions(connection, agent):
                    continue
                first = await add(connection, agent, text, author="selfheal", note="first version")
                await release(
                    connection, agent, first.version, after=None, action="seed", actor="selfheal"
                )
                seeded.append(agent)
        except ReleaseConflictError:
            continue
    return seeded


def _found(row: Row | None, otherwise: str) -> Row:
    if row is None:
        raise NotFoundError(otherwise)
    return row
