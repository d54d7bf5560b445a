"""Bodies are read strictly: what JSON does not have, or nothing of ours could keep, is refused."""

import json
import math
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from server.routes.given import Endpoint, in_transaction

_DEEPEST: Final = 100


class StrictRoute(APIRoute):
    """A route whose body may be nested 100 deep, with finite numbers alone."""

    def __init__(self, path: str, endpoint: Endpoint, **settings: Any) -> None:
        super().__init__(path, in_transaction(endpoint), **settings)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handle(_Request(request.scope, request.receive))

        return strictly


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
