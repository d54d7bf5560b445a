"""Pages limited by bytes as well, since rows differ in size by a factor of a thousand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from psycopg.rows import class_row

from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all

Row = TypeVar("Row")

MOST_BYTES: Final = 4 * 2**20
STEP: Final = 20  # rows that are fetched at a time


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows of a list in order; `more`: others follow."""

    rows: list[Row]
    more: bool


async def page(
    connection: Connection, query: bytes, values: Mapping[str, Any], row: type[Row], limit: int
) -> Page[Row]:
    """Read rows until there are `limit`, or 4 MB of them. Call it in a transaction.

    Args:
        connection: where it is executed.
        query: has a parameter `limit` beside those of `values`.
        values: the other parameters.
        row: the class of a row.
        limit: rows at most.
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
    """Return the bytes of the rows that were fetched last."""
    places = range(result.nfields)
    return sum(
        len(result.get_value(number, place) or b"")
        for number in range(result.ntuples)
        for place in places
    )
