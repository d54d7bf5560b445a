"""Prompt versions and the release log, on a real Postgres."""

import asyncio

import psycopg
import pytest

from selfheal.db import prompts
from selfheal.db.errors import DatabaseError, NotFoundError, ReleaseConflictError
from selfheal.db.pool import Connection, Database
from selfheal.db.types import Release
from selfheal.graph.prompts import first_prompts

pytestmark = pytest.mark.every_database

NASTY = "Braces {request} {{x}} %s %(a)s $1 \\ 'quotes' ; DROP TABLE prompts; -- ünïcode 🐍"


async def test_a_new_database_begins_with_a_released_version_of_each(database: Database) -> None:
    async with database.connection() as connection:
        for agent, text in first_prompts().items():
            live = await prompts.released(connection, agent)
            assert (live.version, live.text, live.parent) == (1, text, None)


async def test_text_is_literal(database: Database) -> None:
    async with database.connection() as connection:
        added = await prompts.add(connection, "worker", NASTY, author="test")
        assert (await prompts.get(connection, "worker", added.version)).text == NASTY


async def test_a_version_is_never_changed(database: Database) -> None:
    for statement in (
        "UPDATE prompts SET text = 'x'",
        "DELETE FROM prompts",
        "TRUNCATE prompts CASCADE",
        "UPDATE releases SET version = 1",
        "DELETE FROM releases",
    ):
        async with database.connection() as connection:
            with pytest.raises(psycopg.errors.RestrictViolation):
                await connection.execute(statement)


async def test_adding_is_not_releasing(database: Database) -> None:
    async with database.connection() as connection:
        await prompts.add(connection, "worker", "better", author="test", parent=1)
        assert (await prompts.released(connection, "worker")).version == 1


async def test_of_two_releases_after_the_same_one_the_second_is_refused(
    database: Database,
) -> None:
    async with database.connection() as connection:
        await prompts.add(connection, "worker", "two", author="test")
        head = await prompts.head(connection, "worker")

    async def release() -> Release:
        async with database.connection() as connection:
            return await prompts.release(
                connection, "worker", 2, after=head, action="activate", actor="test"
            )

    results = await asyncio.gather(*(release() for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(result, Release) for result in results) == 1
    assert sum(isinstance(result, ReleaseConflictError) for result in results) == 5


async def test_only_one_release_can_be_an_agents_first(empty_database: Database) -> None:
    async def seed() -> list[str]:
        async with empty_database.connection() as connection:
            return [*await prompts.seed(connection, first_prompts())]

    seeded = await asyncio.gather(*(seed() for _ in range(5)))
    assert sorted(agent for each in seeded for agent in each) == ["evaluator", "manager", "worker"]


async def _activate(connection: Connection, version: int, *, pinned: bool = False) -> Release:
    head = await prompts.head(connection, "worker")
    return await prompts.release(
        connection,
        "worker",
        version,
        after=head,
        action="activate",
        actor="test",
        terms=prompts.Terms(pinned=pinned),
    )


async def test_activating_the_live_version_writes_no_release(database: Database) -> None:
    async with database.connection() as connection:
        await prompts.add(connection, "worker", "two", author="test")
        first = await _activate(connection, 2)
        assert (await _activate(connection, 2)).id == first.id
        assert (await prompts.head(connection, "worker")).id == first.id


async def test_a_rollback_goes_to_another_version(database: Database) -> None:
    """Also where the live version was released over itself, to pin it or to unpin it."""
    async with database.connection() as connection:
        await prompts.add(connection, "worker", "two", author="test")
        await _activate(connection, 2)
        assert (await _activate(connection, 2, pinned=True)).pinned
        assert not (await _activate(connection, 2)).pinned
        assert (await prompts.rollback(connection, "worker", actor="test")).version == 1
        with pytest.raises(NotFoundError):
            await prompts.rollback(connection, "worker", actor="test")


async def test_each_rollback_goes_further_back(database: Database) -> None:
    async with database.connection() as connection:
        for version in (2, 3):
            await prompts.add(connection, "worker", f"text {version}", author="test")
            head = await prompts.head(connection, "worker")
            await prompts.release(
                connection, "worker", version, after=head, action="activate", actor="test"
            )
        for expected in (2, 1):
            await prompts.rollback(connection, "worker", actor="test")
            assert (await prompts.released(connection, "worker")).version == expected
        with pytest.raises(NotFoundError, match="no earlier release"):
            await prompts.rollback(connection, "worker", actor="test")


async def test_what_does_not_exist_is_named(database: Database) -> None:
    async with database.connection() as connection:
        head = await prompts.head(connection, "worker")
        with pytest.raises(NotFoundError, match="worker has no prompt version 7"):
            await prompts.get(connection, "worker", 7)
        with pytest.raises(NotFoundError, match="version 7"):
            await prompts.release(
                connection, "worker", 7, after=head, action="activate", actor="test"
            )
        with pytest.raises(NotFoundError, match="no version 7 to derive from"):
            await prompts.add(connection, "worker", "x", author="test", parent=7)


async def test_a_refused_statement_is_ours_outside_the_driver(database: Database) -> None:
    with pytest.raises(DatabaseError, match="Postgres refused"):
        async with database.connection() as connection:
            await connection.execute("SELECT 1/0")
