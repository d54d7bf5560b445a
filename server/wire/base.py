"""What all bodies have in common, and the answers that belong to no resource."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from db.text import storable
from graph.errors import ErrorOutcome


def _as_it_is(text: str) -> str:
    if storable(text) != text:
        raise ValueError("may hold neither NUL nor halves of surrogate pairs")
    return text


Literally = Annotated[str, AfterValidator(_as_it_is)]  # what is kept word for word


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
    outcome: ErrorOutcome | None = Field(None, description="For a role's caller: that of the run")
    request_id: str = Field(description="The request, as the log and x-request-id name it")


class Health(Answer):
    """Whether this process can do its work."""

    status: Literal["ok", "unavailable"] = Field(description="ok, or unavailable")
    detail: str = Field("", description="What is missing")
