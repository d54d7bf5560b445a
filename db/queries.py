"""The named queries of `db/sql/`, and typed reading of their rows."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from psycopg.rows import class_row, scalar_row

from selfheal.db.errors import DatabaseError
from selfheal.db.sessions import Connection

Row = TypeVar("Row")
Values = Mapping[str, Any] | None

_PART = re.compile(r"^-- (?P<kind>name|columns): (?P<name>\w+)\s*$", re.MULTILINE)


@cache
def load(family: str) -> dict[str, bytes]:
    """Read the queries of `db/sql/<family>.sql`.

    A query follows a line `-- name: <name>`; comments below that line describe it. A list of
    columns follows `-- columns: <name>` and replaces `{name}` in queries. Columns are listed, never
    `*`: a prepared `SELECT *` fails after a newer version has added a column.

    Args:
        family: the file's name without its suffix.

    Returns:
        The queries by name, as bytes: psycopg's types accept a query that is no literal only so.
    """
    text = (files("selfheal.db") / "sql" / f"{family}.sql").read_text(encoding="utf-8")
    parts = _PART.split(text)[1:]
    columns: dict[str, str] = {}
    queries: dict[str, bytes] = {}
    for kind, name, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if kind == "columns":
            columns[f"{{{name}}}"] = body.strip()
        else:
            queries[name] = _with_columns(body.strip(), columns).encode()
    return queries


def _with_columns(body: str, columns: dict[str, str]) -> str:
    for placeholder, names in columns.items():
        body = body.replace(placeholder, names)
    return body


async def fetch_all(
    connection: Connection, query: bytes, values: Values, row: type[Row]
) -> list[Row]:
    """Execute a query and return all its rows.

    Args:
        connection: where it is executed.
        query: the SQL, with named parameters.
        values: the parameters; None for a query without any.
        row: the class of a row, whose fields are named like the columns.
    """
    cursor = connection.cursor(row_factory=class_row(row))
    return await (await cursor.execute(query, values)).fetchall()


async def fetch_optional(
    connection: Connection, query: bytes, values: Values, row: type[Row]
) -> Row | None:
    """Execute a query and return its first row, None if it has none. Arguments as `fetch_all`."""
    cursor = connection.cursor(row_factory=class_row(row))
    return await (await cursor.execute(query, values)).fetchone()


async def fetch_one(connection: Connection, query: bytes, values: Values, row: type[Row]) -> Row:
    """Execute a query that always has a row, such as an INSERT … RETURNING, and return that.

    Arguments as `fetch_all`.

    Raises:
        DatabaseError: there is no row.
    """
    found = await fetch_optional(connection, query, values, row)
    if found is None:
        raise DatabaseError("the statement returned no row")
    return found


async def fetch_value(connection: Connection, query: bytes, values: Values = None) -> Any:
    """Execute a query and return the first column of its first row, None if it has no row."""
    cursor = connection.cursor(row_factory=scalar_row)
    return await (await cursor.execute(query, values)).fetchone()
