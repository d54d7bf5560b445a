"""What a route is given: the service, and a connection for the request."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request

from db.pool import Connection
from server.service import Service


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _connection(
    service: Annotated[Service, Depends(_service)],
) -> AsyncIterator[Connection]:
    """Lend a connection; the request is one transaction."""
    async with service.database.transaction() as connection:
        yield connection


GivenService = Annotated[Service, Depends(_service)]
GivenConnection = Annotated[Connection, Depends(_connection, scope="function")]
