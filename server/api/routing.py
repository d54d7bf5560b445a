"""What routes have in common: strict requests, transactions, and their dependencies."""

import hashlib
import inspect
from collections.abc import Callable, Coroutine, Iterator, Set
from functools import wraps
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Header, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from langsmith import uuid7

from selfheal.app import strict_json
from selfheal.db.pool import Connection, Database
from selfheal.db.run_requests import RunRequest
from selfheal.server.api.middleware import BODY
from selfheal.server.api.schemas.create import RunCreate
from selfheal.server.assistants import find_assistant
from selfheal.server.auth.admission import WRITER, Admission, Caller
from selfheal.server.serialization import dumps
from selfheal.server.service import Service

_LONGEST_NAME: Final = 100  # characters of an unknown parameter in an error message

Endpoint = Callable[..., Coroutine[Any, Any, Any]]


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _database(service: Annotated[Service, Depends(_service)]) -> Database:
    return service.database


ServiceDep = Annotated[Service, Depends(_service)]
# `in_transaction` replaces the database by the connection.
ConnectionDep = Annotated[Connection, Depends(_database)]

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="Requests with the same key and body create one run",
    ),
]


def check_quota(adding: float) -> Any:
    """Return a dependency that checks that the tenant may store so many bytes more.

    For routes that store something other than a run, whose quota is checked when it is submitted.
    """

    async def check(caller: Annotated[Caller, WRITER], service: ServiceDep) -> None:
        await service.submitter.quota.check(caller.tenant, adding)

    return Depends(check)


def in_transaction(endpoint: Endpoint) -> Endpoint:
    """Return a route's function with its `connection`, if it takes one, in one transaction.

    It is called again if the transaction conflicted with another one.
    """
    if "connection" not in inspect.signature(endpoint).parameters:
        return endpoint

    @wraps(endpoint)
    async def transacted(*, connection: Database, **given: Any) -> Any:
        return await connection.run(lambda lent: endpoint(connection=lent, **given))

    return transacted


class StrictRoute(APIRoute):
    """A route that checks the key and the rate first, and reads bodies within `middleware.BODY`.

    FastAPI reads and parses a body before it resolves any dependency: without this, a caller
    without a key could make the service parse as much as it likes. A query parameter that the
    route does not declare is refused, as fields of bodies are, except by routes that answer 501.
    """

    def __init__(self, path: str, endpoint: Endpoint, **settings: Any) -> None:
        super().__init__(path, in_transaction(endpoint), **settings)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of requests."""
        handle = super().get_route_handler()
        admissions = list(_admissions(self.dependant))
        declared = set(_query_parameters(self.dependant))
        implemented = 501 not in self.responses

        async def handle_strictly(request: Request) -> Response:
            for admission, scopes in admissions:
                await admission.admit(request, scopes)
            if implemented:
                _refuse_unknown(request.query_params.keys() - declared)
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly


class _StrictRequest(Request):
    async def json(self) -> Any:
        return strict_json.loads(await self.body(), BODY)


def _admissions(dependant: Dependant) -> Iterator[tuple[Admission, list[str]]]:
    """Yield the admissions among a route's dependencies, with the scopes that they need."""
    for each in dependant.dependencies:
        if isinstance(each.call, Admission):
            yield each.call, [*(each.parent_oauth_scopes or ()), *(each.own_oauth_scopes or ())]
        yield from _admissions(each)


def _query_parameters(dependant: Dependant) -> Iterator[str]:
    """Yield the query parameters that a route and its dependencies declare."""
    yield from (each.alias for each in dependant.query_params)
    for each in dependant.dependencies:
        yield from _query_parameters(each)


def _refuse_unknown(names: Set[str]) -> None:
    if names:
        first = min(names)[:_LONGEST_NAME]
        wrong = {"loc": ("query", first), "msg": "is not a parameter of this path"}
        raise RequestValidationError([{**wrong, "type": "extra_forbidden"}])


def run_request(
    body: RunCreate,
    caller: Caller,
    *,
    thread_id: UUID | None = None,
    key: str | None = None,
    streamed: bool = True,
) -> RunRequest:
    """Return the run that a body requests.

    Args:
        body: the body of the request.
        caller: who sent it.
        thread_id: the thread that it runs on; None for a new one.
        key: its idempotency key.
        streamed: whether a client may read its events; else none are stored by default.

    Raises:
        UnknownAssistantError: there is no such graph.
        NotAllowedError: the caller may not run it.
        RequestValidationError: the input does not fit the graph.
    """
    assistant = find_assistant(body.assistant_id)
    if assistant.name == "optimizer":
        caller.require("admin")
    temporary = thread_id is None and body.on_completion != "keep"
    digest = None
    if key is not None:
        content = {**body.model_dump(mode="json"), "thread_id": str(thread_id or "")}
        digest = hashlib.sha256(dumps(dict(sorted(content.items()))).encode()).hexdigest()
    return RunRequest(
        id=uuid7(),
        thread_id=thread_id or uuid7(),
        assistant=assistant.name,
        options=body.options(assistant.name, streamed=streamed, temporary=temporary),
        tenant=caller.tenant,
        metadata=body.metadata,
        multitask=body.multitask_strategy or "enqueue",
        after_seconds=body.after_seconds,
        create_thread=thread_id is None or body.if_not_exists == "create",
        idempotency_key=key,
        body_sha256=digest,
    )
