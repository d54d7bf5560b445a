"""What all bodies have in common, and the answers that belong to no resource."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from selfheal.app.errors import ErrorOutcome
from selfheal.db.encoding import storable
from selfheal.server.serialization import dumps

_MOST_METADATA: Final = 16 * 2**10  # bytes
_MOST_FIELDS: Final = 100


def _storable(text: str) -> str:
    if storable(text) != text:
        raise ValueError("must contain neither NUL nor halves of surrogate pairs")
    return text


ExactText = Annotated[str, AfterValidator(_storable)]
"""Text that is stored unchanged."""


def bounded(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return a client's metadata if it is small enough to be stored and listed.

    Raises:
        ValueError: it is longer than 16 KiB as JSON.
    """
    if len(dumps(metadata).encode()) > _MOST_METADATA:
        raise ValueError(f"must have at most {_MOST_METADATA // 2**10} KiB as JSON")
    return metadata


BoundedObject = Annotated[dict[str, Any], AfterValidator(bounded)]
CheckpointId = Annotated[str, Field(min_length=1, max_length=100)]


class Body(BaseModel):
    """A request's body. An unknown field is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, value: object) -> object:
        """Refuse many unknown fields at once: pydantic would report each one."""
        if isinstance(value, dict) and len(value) > _MOST_FIELDS:
            raise ValueError(f"has more than {_MOST_FIELDS} fields")
        return value


class CheckpointBody(BaseModel):
    """A checkpoint of a thread. Other fields of LangGraph's checkpoints are ignored."""

    checkpoint_id: CheckpointId | None = Field(None, description="The checkpoint")


def checkpoint_id_of(checkpoint_id: str | None, checkpoint: CheckpointBody | None) -> str | None:
    """Return the checkpoint that a body names in either of the two ways, None if in neither."""
    if checkpoint_id is not None or checkpoint is None:
        return checkpoint_id
    return checkpoint.checkpoint_id


class Answer(BaseModel):
    """An answer's body, made from a row or from a value of the graph."""

    model_config = ConfigDict(from_attributes=True)


FieldNames = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=50)]
SortOrder = Literal["asc", "desc"]
_STATE: Final = "next|tasks|checkpoint|metadata|created_at|parent_checkpoint|interrupts"
StateField = Annotated[str, Field(pattern=rf"^({_STATE}|values(\.\w{{1,100}})?)$")]
StateFields = Annotated[list[StateField], Field(max_length=50)]


def fields_of(answer: type[Answer]) -> Callable[[list[str] | None], list[str] | None]:
    """Return a validator of `select`: a list of fields of an answer."""

    def known(names: list[str] | None) -> list[str] | None:
        if unknown := sorted(set(names or ()) - answer.model_fields.keys()):
            raise ValueError(
                f"has no {unknown[0][:100]!r}: choose from {sorted(answer.model_fields)}"
            )
        return names

    return known


def selected(answer: Answer, names: Sequence[str] | None) -> dict[str, Any]:
    """Return an answer as JSON, reduced to the named fields if any are named."""
    return answer.model_dump(mode="json", include=set(names) if names else None)


def selected_of_state(state: dict[str, Any], names: Sequence[str] | None) -> dict[str, Any]:
    """Return a state, reduced to the named fields if any are named.

    Args:
        state: as LangGraph's API has it.
        names: fields; `values.KEY` is one key of `values`.
    """
    if not names:
        return state
    found = {key: part for key, part in state.items() if key in names}
    keys = {each.removeprefix("values.") for each in names if each.startswith("values.")}
    if keys and "values" not in names:
        found["values"] = {key: part for key, part in state["values"].items() if key in keys}
    return found


class Problem(Answer):
    """Why a request was refused or failed."""

    detail: str = Field(description="What is wrong, and what to do")
    field: str | None = Field(None, description="The invalid field, if there is one")
    outcome: ErrorOutcome | None = Field(
        None, description="In answers of the worker and the evaluator: the outcome of the run"
    )
    unusable: bool | None = Field(
        None,
        description="In answers of the worker and the evaluator: whether their model answered in a"
        " form that cannot be used",
    )
    request_id: str = Field(description="The request's id in the log and in x-request-id")


class Health(Answer):
    """Whether this process can do its work."""

    status: Literal["ok", "unavailable"] = Field(description="ok or unavailable")
    detail: str = Field("", description="What is missing")
