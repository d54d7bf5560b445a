"""Requests are admitted before their body is read, and bodies are read within bounds."""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from graph import strict_json
from server.auth import Admission
from server.limits import BODY
from server.routes.given import Endpoint, in_transaction


class StrictRoute(APIRoute):
    """A route that looks at the key and the rate first, and takes bodies within `limits.BODY`.

    FastAPI reads and parses a body before it resolves any dependency: without this, a caller
    without a key could have the service parse as much as it likes.
    """

    def __init__(self, path: str, endpoint: Endpoint, **settings: Any) -> None:
        super().__init__(path, in_transaction(endpoint), **settings)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        handle = super().get_route_handler()
        admissions = list(_admissions(self.dependant))

        async def strictly(request: Request) -> Response:
            for admission, scopes in admissions:
                await admission.admit(request, scopes)
            return await handle(_Request(request.scope, request.receive))

        return strictly


def _admissions(dependant: Dependant) -> Iterator[tuple[Admission, list[str]]]:
    """Yield what admits callers among all that a route depends on, with the scopes needed."""
    for each in dependant.dependencies:
        if isinstance(each.call, Admission):
            yield each.call, [*(each.parent_oauth_scopes or ()), *(each.own_oauth_scopes or ())]
        yield from _admissions(each)


class _Request(Request):
    async def json(self) -> Any:
        return strict_json.loads(await self.body(), BODY)
