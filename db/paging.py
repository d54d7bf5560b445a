"""Lists that are cut by bytes: rows differ in size by a factor of a thousand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from psycopg.rows import class_row

from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all

Row = TypeVar("Row")

MOST_BYTES: Final = 4 * 2**20
STEP: Final = 20  # rows that are read at once


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows of a list in their order; `more`: others follow."""

    rows: list[Row]
    more: bool


async def page(
    connection: Connection, query: bytes, values: Mapping[str, Any], row: type[Row], limit: int
) -> Page[Row]:
    """Read rows until there are `limit`, or as many as hold 4 MB. Call it in a transaction.

    Args:
        query: takes `limit` beside what `values` has.
    """
    given = {**values, "limit": limit + 1}
    if limit < STEP:
        found = await fetch_all(connection, query, given, row)
        return Page(found[:limit], len(found) > limit)
    rows: list[Row] = []
    taken = 0
    async with connection.cursor("page", row_factory=class_row(row)) as reading:
        await reading.execute(query, given)
        while taken < MOST_BYTES and len(rows) <= limit:
            found = await reading.fetchmany(STEP)
            rows += found
            taken += _bytes(reading.pgresult)
            if len(found) < STEP:
                return Page(rows[:limit], len(rows) > limit)
    return Page(rows[:limit], more=True)


def _bytes(result: Any) -> int:
    """Return how much of the last rows came from the server."""
    places = range(result.nfields)
    return sum(
        len(result.get_value(number, place) or b"")
        for number in range(result.ntuples)
        for place in places
    )
