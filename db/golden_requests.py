"""The operator's golden requests: cases that candidates may be tried on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfheal.db import queries
from selfheal.db.encoding import json, storable
from selfheal.db.errors import NotFoundError
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all

_SQL = queries.load("golden_requests")


@dataclass(frozen=True, slots=True)
class GoldenRequest:
    """A request in plain text with executable examples."""

    id: str
    request: str
    examples: list[dict[str, str]]


async def add(
    connection: Connection, id_: str, *, request: str, examples: Sequence[Mapping[str, Any]]
) -> bool:
    """Store a request; False if its id is in use."""
    values = {"id": id_, "request": storable(request), "examples": json(examples)}
    return (await connection.execute(_SQL["add"], values)).rowcount == 1


async def every(connection: Connection) -> list[GoldenRequest]:
    """Return all requests."""
    return await fetch_all(connection, _SQL["all"], None, GoldenRequest)


async def remove(connection: Connection, id_: str) -> None:
    """Delete a request.

    Raises:
        NotFoundError: there is none with this id.
    """
    if not (await connection.execute(_SQL["remove"], {"id": id_})).rowcount:
        raise NotFoundError(f"there is no golden request {id_} of your own")
