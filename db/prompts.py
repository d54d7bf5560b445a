"""Prompt versions, which never change, and the log of their releases."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import psycopg

from selfheal.db import follow_ups, queries
from selfheal.db.encoding import json
from selfheal.db.errors import NotFoundError, ReleaseConflictError
from selfheal.db.paging import Page, page
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all, fetch_one, fetch_optional, fetch_value
from selfheal.db.reasons import Reason, because, noted
from selfheal.db.types import Action, Agent, Release

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
class Terms:
    """The terms of a release: share of the threads, its healing, whether it is pinned, and why."""

    percent: int = 100
    healing_id: UUID | None = None
    pinned: bool = False
    reason: Reason | None = None


TO_ALL = Terms()


async def add(
    connection: Connection,
    agent: Agent,
    text: str,
    *,
    author: str,
    parent: int | None = None,
    note: str = "",
) -> Prompt:
    """Store a new version, numbered one above the newest, without releasing it.

    Raises:
        ReleaseConflictError: another version was added at the same time.
        NotFoundError: `parent` is not a version of this agent.
    """
    values = {
        "agent": agent,
        "text": text,
        "parent": parent,
        "author": author,
        "note": note,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    try:
        return await fetch_one(connection, _SQL["add"], values, Prompt)
    except psycopg.errors.UniqueViolation as error:
        raise ReleaseConflictError(f"another version of {agent} was just added") from error
    except psycopg.errors.ForeignKeyViolation as error:
        raise NotFoundError(f"{agent} has no version {parent} to derive from") from error


async def get(connection: Connection, agent: Agent, version: int) -> Prompt:
    """Return one version.

    Raises:
        NotFoundError: there is none.
    """
    return _found(
        await fetch_optional(connection, _SQL["get"], {"agent": agent, "version": version}, Prompt),
        f"{agent} has no prompt version {version}",
    )


async def versions(connection: Connection, agent: Agent) -> list[Prompt]:
    """Return all versions of an agent, newest first."""
    return await fetch_all(connection, _SQL["versions"], {"agent": agent}, Prompt)


async def listed(connection: Connection, agent: Agent, limit: int, offset: int) -> Page[Prompt]:
    """Return versions of an agent, newest first. Call it in a transaction."""
    values = {"agent": agent, "offset": offset}
    return await page(connection, _SQL["listed"], values, Prompt, limit)


async def released(connection: Connection, agent: Agent, thread_id: UUID | None = None) -> Prompt:
    """Return the live prompt.

    Args:
        connection: where it is read.
        agent: whose prompt.
        thread_id: decides on which side of a canary; without one it is the version before.

    Raises:
        NotFoundError: nothing was ever released for this agent.
    """
    return _found(
        await fetch_optional(
            connection, _SQL["released"], {"agent": agent, "thread": thread_id}, Prompt
        ),
        f"no prompt of {agent} has been released",
    )


async def head(connection: Connection, agent: Agent) -> Release:
    """Return the newest release of an agent.

    Raises:
        NotFoundError: nothing was ever released for this agent.
    """
    return _found(
        await fetch_optional(connection, _SQL["head"], {"agent": agent}, Release),
        f"no prompt of {agent} has been released",
    )


async def releases(connection: Connection, agent: Agent, limit: int = 50) -> list[Release]:
    """Return the newest releases of an agent, newest first."""
    return await fetch_all(connection, _SQL["releases"], {"agent": agent, "limit": limit}, Release)


async def release(
    connection: Connection,
    agent: Agent,
    version: int,
    *,
    after: Release | None,
    action: Action,
    actor: str,
    note: str = "",
    terms: Terms = TO_ALL,
) -> Release:
    """Make `version` live if `after` is still the newest release (compare-and-swap).

    A release that would change nothing is not stored: a rollback would go back to it.

    Args:
        connection: where it is stored.
        agent: whose prompt.
        version: that becomes live.
        after: the release that the decision is based on; None for an agent's first.
        action: the kind of release.
        actor: who made it.
        note: why.
        terms: below 100 percent the other threads keep what is live now. A version that stays live
            belongs to the same healing as before.

    Returns:
        The new release; `after` itself if that version is live on these terms already.

    Raises:
        ReleaseConflictError: another release came between: compare-and-swap failed.
        NotFoundError: the version does not exist.
    """
    if after and _is_live(after, version, terms):
        return after
    values = {
        "agent": agent,
        "version": version,
        "previous": after.id if after else None,
        "action": action,
        "actor": actor,
        "note": note,
        "healing_id": terms.healing_id or _healing_of(after, version),
        "base_version": after.incumbent if after and terms.percent < 100 else None,
        "percent": terms.percent,
        "pinned": terms.pinned,
        "reason": json(terms.reason),
    }
    try:
        async with connection.transaction():
            row = await fetch_one(connection, _SQL["release"], values, Release)
            if after:
                await _follow_up(connection, after, row)
    except psycopg.errors.UniqueViolation as error:
        raise ReleaseConflictError(f"another release of {agent} was just made") from error
    except psycopg.errors.ForeignKeyViolation as error:
        raise NotFoundError(f"{agent} has no prompt version {version}") from error
    return row


def _is_live(newest: Release, version: int, terms: Terms) -> bool:
    live = (newest.version, newest.percent, newest.pinned)
    return live == (version, terms.percent, terms.pinned)


def _healing_of(after: Release | None, version: int) -> UUID | None:
    return after.healing_id if after and after.version == version else None


async def _follow_up(connection: Connection, before: Release, now: Release) -> None:
    """Store the consequence of a release for the healing that made the release before it.

    A promoted version that is replaced stays promoted, unless it is rolled back: it was not worse
    than the version that it replaced.
    """
    if before.healing_id is None:
        return
    cause = now.reason or noted(now.note)
    outcome: follow_ups.LaterOutcome = "rejected"
    if now.version == before.version:
        if not before.percent < now.percent == 100:
            return
        outcome, reason = "promoted", because("promoted", cause=cause)
    elif now.action in ("rollback", "take_back"):
        reason = because("rolled_back", cause=cause)
    elif before.percent < 100:
        reason = because("replaced_during_canary", version=now.version, cause=cause)
    else:
        return
    await follow_ups.add(connection, before.healing_id, outcome, reason=reason, actor=now.actor)


async def rollback(
    connection: Connection,
    agent: Agent,
    *,
    actor: str,
    note: str = "",
    after: Release | None = None,
    action: Action = "rollback",
    reason: Reason | None = None,
) -> Release:
    """Make the previous version live; a second rollback goes to the version before that.

    Args:
        connection: where it is stored.
        agent: whose prompt.
        actor: who made it.
        note: why.
        after: the release that the decision is based on; by default the newest one.
        action: the kind of release.
        reason: why, if the optimizer decided it.

    Raises:
        NotFoundError: no other version was ever live.
        ReleaseConflictError: another release came between.
    """
    current = after or await head(connection, agent)
    earlier = await before(connection, current)
    if earlier is None:
        raise NotFoundError(f"{agent} has no earlier release to roll back to")
    return await release(
        connection,
        agent,
        earlier,
        after=current,
        action=action,
        actor=actor,
        note=note,
        terms=Terms(reason=reason),
    )


async def before(connection: Connection, current: Release) -> int | None:
    """Return the version to which a rollback of a release goes, None if there is none."""
    if current.base_version is not None:
        return current.base_version
    values = {"agent": current.agent, "version": current.version}
    found: int | None = await fetch_value(connection, _SQL["before"], values)
    return found


async def seed(connection: Connection, texts: Mapping[Agent, str]) -> list[Agent]:
    """Add and release a first prompt for each agent that has none; return those agents.

    Call it in a transaction. If several processes do it at the same time, the first one wins.
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
