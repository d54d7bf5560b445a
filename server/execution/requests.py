"""From a body of the wire to a run that is taken in."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Header
from langsmith import uuid7

from selfheal.db.claims import Order
from selfheal.server.api.assistants import named
from selfheal.server.api.schemas.create import RunCreate, parsed_input, storable_kwargs
from selfheal.server.auth.api_keys import Caller
from selfheal.server.execution.submit import Asked, body_sha256

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="The same key and body: the same run, however often it is sent",
    ),
]


def asked_for(
    body: RunCreate,
    caller: Caller,
    *,
    thread_id: UUID | None = None,
    key: str | None = None,
    streamed: bool = True,
) -> Asked:
    """Return the run that a body asks for, on a thread or without one.

    Args:
        streamed: whether anybody may want to read what it streams.

    Raises:
        UnknownAssistantError: there is no such graph.
        NotAllowedError: the caller may not run it.
        RequestValidationError: the input is not what the graph takes.
    """
    assistant = named(body.assistant_id)
    if assistant.name == "optimizer":
        caller.require("admin")
    given = parsed_input(assistant.name, body.input)
    kwargs = storable_kwargs(body, given)
    if not streamed and body.stream_mode is None:
        kwargs["stream_mode"] = []
    stays = thread_id is not None or body.on_completion == "keep"
    if not stays:
        kwargs["temporary"] = True
    order = Order(
        id=uuid7(),
        thread_id=thread_id or uuid7(),
        assistant=assistant.name,
        kwargs=kwargs,
        request=_text(given),
        examples=(given or {}).get("examples") or [],
        tenant=caller.tenant,
        metadata=body.metadata,
        multitask=body.multitask_strategy or "enqueue",
        after_seconds=body.after_seconds,
        idempotency_key=key,
        body_sha256=None if key is None else _hash(body, thread_id),
    )
    return Asked(order, on_thread=stays, if_not_exists=_if_not_exists(body, thread_id))


def _text(given: dict[str, Any] | None) -> str:
    return str((given or {}).get("request", ""))


def _hash(body: RunCreate, thread_id: UUID | None) -> str:
    return body_sha256({**body.model_dump(mode="json"), "thread_id": str(thread_id or "")})


def _if_not_exists(body: RunCreate, thread_id: UUID | None) -> Any:
    return body.if_not_exists if thread_id is not None else "create"
