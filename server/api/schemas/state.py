"""What a client may write into a thread's state: a run's input, and nothing that nodes write."""

from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from selfheal.server.api.schemas.langgraph import StateUpdate
from selfheal.server.api.schemas.requests import RequestBody


def input_fields(body: StateUpdate) -> dict[str, Any]:
    """Return the values of an update.

    Raises:
        RequestValidationError: they are no input, or are said to be a node's.
    """
    if body.as_node not in (None, "__start__"):
        raise _refused(("as_node",), "must be '__start__': what nodes write is theirs alone")
    try:
        return dict(RequestBody.model_validate(body.values or {}).input())
    except ValidationError as error:
        found = [{**each, "loc": ("body", "values", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(found) from None


def _refused(place: tuple[str, ...], why: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body", *place), "msg": why, "type": "value_error"}])
