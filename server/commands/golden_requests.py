"""`selfheal golden add|remove`: golden requests of the operator's own."""

import json
from collections.abc import Sequence
from typing import IO, Any

import click
from pydantic import Field, ValidationError

from selfheal.db import golden_requests as store
from selfheal.db.pool import Connection
from selfheal.graph.state import Request
from selfheal.optimizer.dataset.cases import golden_requests, own_case
from selfheal.optimizer.dataset.split import alike
from selfheal.optimizer.state import Case
from selfheal.server.api.schemas.requests import ExampleBody, RequestBody
from selfheal.server.commands.errors import CommandError
from selfheal.server.commands.runtime import opened_database, run_async


class OwnRequest(RequestBody):
    """A line of the file."""

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    examples: list[ExampleBody] = Field(min_length=2, max_length=50)


@run_async
async def add(file: IO[str]) -> None:
    """Add golden requests of your own from a JSON Lines file (`-`: standard input), all or none."""
    given = [_read(number, line) for number, line in enumerate(file, 1) if line.strip()]

    async def keep(connection: Connection) -> None:
        known = [*golden_requests(), *map(own_case, await store.every(connection))]
        for each in given:
            known.append(await _keep(connection, each, known))

    async with opened_database() as database:
        await database.run(keep)
    click.echo(f"{len(given)} golden requests were added")


@run_async
async def remove(name: str) -> None:
    """Remove a golden request of your own."""
    async with opened_database() as database, database.connection() as connection:
        await store.remove(connection, name)
    click.echo(f"golden request {name} is removed")


def _read(number: int, line: str) -> OwnRequest:
    """Return a line's request.

    Raises:
        CommandError: the line is none.
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


async def _keep(connection: Connection, own: OwnRequest, known: Sequence[Case]) -> Case:
    """Store one and return its case.

    Raises:
        CommandError: its id is taken, or it is too much like another to be evidence of its own.
    """
    given: Request = own.input()
    kept = store.GoldenRequest(own.id, given["request"], [dict(each) for each in given["examples"]])  # type: ignore[arg-type]
    case = own_case(kept)
    if twin := next((each["id"] for each in known if alike(case, each)), None):
        raise CommandError(f"{own.id} is too much like {twin}: it would be the same evidence twice")
    if not await store.add(connection, kept.id, request=kept.request, examples=kept.examples):
        raise CommandError(f"there is a golden request {own.id} already")
    return case
