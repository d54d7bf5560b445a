"""What a route is given: the service, and a connection for the request."""

import inspect
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Annotated, Any

from fastapi import Depends, Request

from selfheal.db.pool import Connection, Database
from selfheal.server.auth.api_keys import WRITER, Caller
from selfheal.server.service import Service


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _database(service: Annotated[Service, Depends(_service)]) -> Database:
    return service.database


GivenService = Annotated[Service, Depends(_service)]
# `in_transaction` puts the connection in the database's place.
GivenConnection = Annotated[Connection, Depends(_database)]


def storing(adding: float) -> Any:
    """Return what lets a request pass if its tenant may store so many bytes more.

    For routes that keep something other than a run: those are looked at where they are taken in.
    """

    async def check(caller: Annotated[Caller, WRITER], service: GivenService) -> None:
        await service.intake.quota.check(caller.tenant, adding)

    return Depends(check)


Endpoint = Callable[..., Coroutine[Any, Any, Any]]


def in_transaction(endpoint: Endpoint) -> Endpoint:
    """Return a route's function whose `connection`, if it takes one, is one transaction.

    It is done again from the beginning if another transaction was in its way.
    """
    if "connection" not in inspect.signature(endpoint).parameters:
        return endpoint

    @wraps(endpoint)
    async def transacted(*, connection: Database, **given: Any) -> Any:
        return await connection.run(lambda lent: endpoint(connection=lent, **given))

    return transacted
