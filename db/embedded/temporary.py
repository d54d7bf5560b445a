"""A temporary database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from psycopg import sql
from psycopg.conninfo import make_conninfo

from selfheal.db import sessions
from selfheal.db.errors import translated


@asynccontextmanager
async def scratch_database(url: str, prefix: str) -> AsyncIterator[str]:
    """Create a database on the server of `url`, yield its address, and drop it afterwards.

    Args:
        url: of a database on the server.
        prefix: of the name.

    Raises:
        DatabaseUnavailableError: the server cannot be reached.
        DatabaseError: the role of `url` may not create databases.
    """
    name = f"{prefix}_{uuid4().hex[:12]}"
    await _execute(url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield make_conninfo(url, dbname=name)
    finally:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        await _execute(url, drop.format(sql.Identifier(name)))


async def _execute(url: str, statement: sql.Composed) -> None:
    with translated():
        async with await sessions.connect(url) as connection:
            await connection.execute(statement)
