"""`selfheal golden add|remove`: the operator's golden requests."""

import json
from collections.abc import Sequence
from typing import IO, Any

import click
from pydantic import Field, ValidationError

from selfheal.db import golden_requests as store
from selfheal.db.pool import Connection
from selfheal.graph.state import Request
from selfheal.optimizer.dataset.cases import case_from_golden_request, golden_requests
from selfheal.optimizer.dataset.split import similar_requests
from selfheal.optimizer.records.cases import Case
from selfheal.server.api.schemas.requests import ExampleBody, RequestBody
from selfheal.server.commands.errors import CommandError
from selfheal.server.commands.runtime import opened_database, run_async


class OwnRequest(RequestBody):
    """A line of the file."""

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    examples: list[ExampleBody] = Field(min_length=2, max_length=50)


@run_async
async def add(file: IO[str]) -> None:
    """Add golden requests from a JSON Lines file, all or none.

    Raises:
        CommandError: a line is invalid, or its request is a duplicate.
    """
    requests = [_read(number, line) for number, line in enumerate(file, 1) if line.strip()]

    async def store_all(connection: Connection) -> None:
        known = [
            *golden_requests(),
            *map(case_from_golden_request, await store.list_all(connection)),
        ]
        for request in requests:
            known.append(await _store(connection, request, known))

    async with opened_database() as database:
        await database.run(store_all)
    click.echo(f"{len(requests)} golden requests were added")


@run_async
async def remove(name: str) -> None:
    """Remove one of the operator's golden requests."""
    async with opened_database() as database, database.connection() as connection:
        await store.remove(connection, name)
    click.echo(f"golden request {name} was removed")


def _read(number: int, line: str) -> OwnRequest:
    """Parse one line.

    Raises:
        CommandError: the line is not a valid golden request; the message has its number.
    """
    try:
        value: Any = json.loads(line)
        return OwnRequest.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(each) for each in first["loc"]) or "the line"
        raise CommandError(f"line {number}: {where}: {first['msg']}") from error
    except ValueError as error:
        raise CommandError(f"line {number}: not JSON: {error}") from error


async def _store(connection: Connection, own: OwnRequest, known: Sequence[Case]) -> Case:
    """Store one and return its case.

    Raises:
        CommandError: its id is taken, or it is a near-duplicate of a known case.
    """
    request: Request = own.input()
    row = store.GoldenRequest(
        own.id,
        request["request"],
        [dict(example) for example in request["examples"]],  # type: ignore[arg-type]
    )
    case = case_from_golden_request(row)
    if twin := next((other["id"] for other in known if similar_requests(case, other)), None):
        raise CommandError(f"{own.id} is a near-duplicate of {twin}: it would count twice")
    if not await store.add(connection, row.id, request=row.request, examples=row.examples):
        raise CommandError(f"golden request {own.id} already exists")
    return case
