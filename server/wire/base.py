"""What all bodies have in common, and the answers that belong to no resource."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from db.text import storable
from graph.errors import ErrorClass
from server.plain import dumps

MOST_NOTED: Final = 16 * 2**10  # bytes


def _as_it_is(text: str) -> str:
    if storable(text) != text:
        raise ValueError("may hold neither NUL nor halves of surrogate pairs")
    return text


Literally = Annotated[str, AfterValidator(_as_it_is)]  # what is kept word for word


def small(noted: dict[str, Any]) -> dict[str, Any]:
    """Return what a client notes as it likes, if it is small enough to be kept and listed.

    Raises:
        ValueError: it is longer than 16 KiB as JSON.
    """
    if len(dumps(noted).encode()) > MOST_NOTED:
        raise ValueError(f"must have at most {MOST_NOTED // 2**10} KiB as JSON")
    return noted


Fields = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=20)]
Small = Annotated[dict[str, Any], AfterValidator(small)]


class Body(BaseModel):
    """What a client sends: a misspelt field is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """What a client gets, made of a row or of a value of the graph."""

    model_config = ConfigDict(from_attributes=True)


class Problem(Answer):
    """Why a request was not answered."""

    detail: str = Field(description="What is wrong and what to do, in words")
    field: str | None = Field(None, description="The field that is wrong, if one is")
    error_class: ErrorClass | None = Field(None, description="For a role's caller: the class of it")
    request_id: str = Field(description="The request, as the log and x-request-id name it")


class Health(Answer):
    """Whether this process can do its work."""

    status: Literal["ok", "unavailable"] = Field(description="ok, or unavailable")
    detail: str = Field("", description="What is missing")
