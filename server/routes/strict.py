"""Requests are read strictly: what JSON does not have, or a route does not take, is refused."""

import json
import math
from collections.abc import Callable, Coroutine, Iterator, Set
from typing import Any, Final, NoReturn

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

_DEEPEST: Final = 100
_LONGEST_NAME: Final = 100  # of an unknown parameter, in what is answered


class StrictRoute(APIRoute):
    """A route whose body may be nested 100 deep, with finite numbers alone.

    A query parameter that it does not declare is refused, as fields of bodies are, unless the route
    refuses every request with 501.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        handle = super().get_route_handler()
        declared = set(_queried(self.dependant))
        built = 501 not in self.responses

        async def strictly(request: Request) -> Response:
            if built:
                _refuse_unknown(request.query_params.keys() - declared)
            return await handle(_Request(request.scope, request.receive))

        return strictly


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
        return _parsed(await self.body())


def _parsed(body: bytes) -> Any:
    """Return what a body says.

    Raises:
        ValueError: it is no JSON, has a number that is none, or is nested too deep.
        RecursionError: it is nested much too deep.
    """
    value = json.loads(body, parse_constant=_refuse, parse_float=_finite)
    level = [value]
    for _ in range(_DEEPEST):
        level = [part for each in level for part in _parts(each)]
        if not level:
            return value
    raise ValueError(f"nested more than {_DEEPEST} deep")


def _parts(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text[:20]} is no number")
