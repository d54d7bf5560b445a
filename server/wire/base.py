"""What all bodies have in common, and the answers that belong to no resource."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from db.text import storable
from graph.errors import ErrorClass


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


Names = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=50)]
SortOrder = Literal["asc", "desc"]
_STATE: Final = "next|tasks|checkpoint|metadata|created_at|parent_checkpoint|interrupts"
StateField = Annotated[str, Field(pattern=rf"^({_STATE}|values(\.\w{{1,100}})?)$")]
StateFields = Annotated[list[StateField], Field(max_length=50)]


def fields_of(answer: type[Answer]) -> Callable[[list[str] | None], list[str] | None]:
    """Return a validator of `select`: a list of fields that this answer has."""

    def known(names: list[str] | None) -> list[str] | None:
        if unknown := sorted(set(names or ()) - answer.model_fields.keys()):
            raise ValueError(
                f"has no {unknown[0][:100]!r}: choose of {sorted(answer.model_fields)}"
            )
        return names

    return known


def selected(answer: Answer, names: Sequence[str] | None) -> dict[str, Any]:
    """Return an answer as it is sent: all of it, or the fields that are named, if any are."""
    return answer.model_dump(mode="json", include=set(names) if names else None)


def selected_of_state(state: dict[str, Any], names: Sequence[str] | None) -> dict[str, Any]:
    """Return a state's fields that are named, if any are; `values.KEY` is one key of `values`."""
    if not names:
        return state
    found = {key: part for key, part in state.items() if key in names}
    keys = {each.removeprefix("values.") for each in names if each.startswith("values.")}
    if keys and "values" not in names:
        found["values"] = {key: part for key, part in state["values"].items() if key in keys}
    return found


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
