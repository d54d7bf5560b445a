"""Runs as LangGraph's wire asks for them."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi.exceptions import RequestValidationError
from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from selfheal.db.claims import Multitask
from selfheal.db.encoding import clean
from selfheal.db.types import Agent
from selfheal.server.api.schemas.base import (
    Body,
    CheckpointBody,
    CheckpointId,
    Small,
    place_of,
    small,
)
from selfheal.server.api.schemas.requests import RequestBody
from selfheal.server.run_request import IfNotExists, StreamMode

Node = Literal["manager", "worker", "evaluator"]


class HealInput(Body):
    """What the optimizer is asked for."""

    agent: Agent | None = Field(None, description="Whose prompt; null: whichever is to blame")
    force: bool = Field(default=False, description="Even if there are too few failures")


class ConfigBody(Body):
    """Of LangChain's config, what clients send."""

    tags: list[Annotated[str, Field(max_length=200)]] = Field(
        default_factory=list, max_length=50, description="Tags of the trace"
    )
    recursion_limit: int = Field(25, ge=1, le=100, description="Steps at most")
    metadata: Small = Field(
        default_factory=dict, description="As the run's own, which comes first", exclude=True
    )
    configurable: Small | None = Field(
        None, description="Of no effect: no node of these graphs reads it", exclude=True
    )


def _few(value: object) -> object:
    """Refuse a long list at once: pydantic would make an error of each wrong entry."""
    if isinstance(value, list) and len(value) > _MOST:
        raise ValueError(f"has more than {_MOST} entries")
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else _few(value)


def _everywhere(value: object) -> object:
    return ["manager", "worker", "evaluator"] if value == "*" else _few(value)


_MOST: Final = 20
Modes = Annotated[list[StreamMode], BeforeValidator(_listed), Field(max_length=_MOST)]
Nodes = Annotated[list[Node], BeforeValidator(_everywhere), Field(max_length=_MOST)]


def _request_schema() -> dict[str, Any]:
    """Return the agent's input with nothing that is described elsewhere."""
    schema = RequestBody.model_json_schema()
    schema["properties"]["examples"]["items"] = schema.pop("$defs")["ExampleBody"]
    return schema


class RunCreate(Body):
    """A run to be created. What is not named here is refused, of LangGraph's wire too."""

    assistant_id: str = Field(
        max_length=100, description="Which graph to run, by name or id", examples=["agent"]
    )
    input: dict[str, Any] | None = Field(
        None,
        description="The graph's input; null to go on with the thread",
        json_schema_extra={"anyOf": [_request_schema(), {"type": "null"}]},
    )
    command: Small | None = Field(None, description="Only `resume`: go on where it stopped")
    config: ConfigBody = Field(default_factory=ConfigBody, description="Settings of the run")
    context: Small | None = Field(None, description="Not taken: leave it out")
    metadata: Small = Field(default_factory=dict, description="Whatever you like to note")
    checkpoint: CheckpointBody | None = Field(None, description="Where on the thread to begin")
    checkpoint_id: CheckpointId | None = Field(None, description="The same, shorter")
    stream_mode: Modes | None = Field(None, description="What is streamed")
    stream_subgraphs: bool | None = Field(
        None, description="There are none: the same either way", exclude=True
    )
    stream_resumable: bool = Field(
        default=False,
        description="Who joins the stream gets all of it; else what comes from then on. Either way"
        " Last-Event-ID asks for the rest",
    )
    interrupt_before: Nodes | None = Field(None, description="Nodes to stop before; * for all")
    interrupt_after: Nodes | None = Field(None, description="Nodes to stop after; * for all")
    multitask_strategy: Multitask | None = Field(
        None, description="If the thread is busy: enqueue, reject, or end the others"
    )
    if_not_exists: IfNotExists = Field("reject", description="If there is no such thread")
    on_disconnect: Literal["cancel", "continue"] = Field(
        "continue", description="What becomes of the run when its caller is gone"
    )
    on_completion: Literal["delete", "keep"] = Field(
        "delete", description="Without a thread: whether to keep its state as one"
    )
    durability: Literal["sync", "async", "exit"] | None = Field(
        None, description="When checkpoints are written; exit: a run that dies begins anew"
    )
    checkpoint_during: bool | None = Field(
        None, description="Older clients' durability: true is async, false is exit", exclude=True
    )
    after_seconds: float = Field(0, ge=0, le=30 * 86_400, description="Not before so many seconds")
    webhook: str | None = Field(
        None, max_length=2000, description="Where to POST the run, signed, when it has ended"
    )

    @field_validator("on_disconnect", "on_completion", "if_not_exists", mode="before")
    @classmethod
    def _null_is_default(cls, value: object, info: Any) -> object:
        return cls.model_fields[info.field_name].default if value is None else value

    @field_validator("after_seconds", "metadata", "config", "stream_resumable", mode="before")
    @classmethod
    def _null_is_nothing(cls, value: object, info: Any) -> object:
        if value is None:
            return cls.model_fields[info.field_name].get_default(call_default_factory=True)
        return value

    @model_validator(mode="after")
    def _older_names(self) -> "RunCreate":
        if self.durability is None and self.checkpoint_during is not None:
            self.durability = "async" if self.checkpoint_during else "exit"
        self.metadata = small({**self.config.metadata, **self.metadata})
        return self

    @field_validator("command")
    @classmethod
    def _only_resume(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value and {key for key, part in value.items() if part is not None} - {"resume"}:
            raise ValueError("may only hold 'resume': what nodes write is theirs alone")
        return value

    @field_validator("context")
    @classmethod
    def _no_context(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value:
            raise ValueError("these graphs take no context: leave it out")
        return value

    def place(self) -> str | None:
        """Return the checkpoint to begin at."""
        return place_of(self.checkpoint_id, self.checkpoint)


def parsed_input(assistant: str, given: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a graph's input as the graph takes it.

    Raises:
        RequestValidationError: it is not what this graph takes.
    """
    if given is None:
        return None
    try:
        if assistant == "agent":
            return dict(RequestBody.model_validate(given).input())
        return HealInput.model_validate(given).model_dump()
    except ValidationError as error:
        found = [{**each, "loc": ("body", "input", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(found) from None


class BatchedRun(RunCreate):
    """A run of a batch: the JavaScript client spells its fields in camel case, here alone."""

    @model_validator(mode="before")
    @classmethod
    def _in_snake_case(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        camel = {to_camel(name): name for name in cls.model_fields}
        fields = {camel.get(key, key): part for key, part in value.items()}
        return fields | {key: value[key] for key in cls.model_fields if key in value}


class CancelBody(Body):
    """Which runs to cancel."""

    status: Literal["pending", "running", "all"] | None = Field(None, description="All of these")
    thread_id: UUID | None = Field(None, description="Or those of a thread")
    run_ids: list[UUID] | None = Field(None, max_length=1000, description="by their ids")


def storable_kwargs(body: RunCreate, given: dict[str, Any] | None) -> dict[str, Any]:
    """Return what the executor needs to know of a run, as it is kept."""
    kwargs: dict[str, Any] = {
        "input": given,
        "config": body.config.model_dump(),
        "stream_mode": body.stream_mode if body.stream_mode is not None else ["values"],
        "durability": body.durability,
        "interrupt_before": body.interrupt_before,
        "interrupt_after": body.interrupt_after,
        "checkpoint_id": body.place(),
        "on_completion": body.on_completion,
        "stream_resumable": body.stream_resumable or None,
        "webhook": body.webhook,
    }
    return dict(clean({key: value for key, value in kwargs.items() if value is not None}))
