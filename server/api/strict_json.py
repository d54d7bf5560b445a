"""Requests are admitted before their body is read, and read within bounds and strictly."""

from collections.abc import Callable, Coroutine, Iterator, Set
from typing import Any, Final

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from selfheal.app import strict_json
from selfheal.server.api.dependencies import Endpoint, in_transaction
from selfheal.server.api.limits import BODY
from selfheal.server.auth.api_keys import Admission

_LONGEST_NAME: Final = 100  # of an unknown parameter, in what is answered


class StrictRoute(APIRoute):
    """A route that looks at the key and the rate first, and takes bodies within `limits.BODY`.

    FastAPI reads and parses a body before it resolves any dependency: without this, a caller
    without a key could have the service parse as much as it likes. A query parameter that the
    route does not declare is refused, as fields of bodies are, unless it refuses every request
    with 501.
    """

    def __init__(self, path: str, endpoint: Endpoint, **settings: Any) -> None:
        super().__init__(path, in_transaction(endpoint), **settings)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        handle = super().get_route_handler()
        admissions = list(_admissions(self.dependant))
        declared = set(_queried(self.dependant))
        built = 501 not in self.responses

        async def strictly(request: Request) -> Response:
            for admission, scopes in admissions:
                await admission.admit(request, scopes)
            if built:
                _refuse_unknown(request.query_params.keys() - declared)
            return await handle(_Request(request.scope, request.receive))

        return strictly


def _admissions(dependant: Dependant) -> Iterator[tuple[Admission, list[str]]]:
    """Yield what admits callers among all that a route depends on, with the scopes needed."""
    for each in dependant.dependencies:
        if isinstance(each.call, Admission):
            yield each.call, [*(each.parent_oauth_scopes or ()), *(each.own_oauth_scopes or ())]
        yield from _admissions(each)


def _queried(dependant: Dependant) -> Iterator[str]:
    """Yield the query parameters that a route and what it depends on declare."""
    yield from (each.alias for each in dependant.query_params)
    for each in dependant.dependencies:
        yield from _queried(each)


def _refuse_unknown(names: Set[str]) -> None:
    if names:
        first = min(names)[:_LONGEST_NAME]
        wrong = {"loc": ("query", first), "msg": "is no parameter of this address"}
        raise RequestValidationError([{**wrong, "type": "extra_forbidden"}])


class _Request(Request):
    async def json(self) -> Any:
        return strict_json.loads(await self.body(), BODY)
