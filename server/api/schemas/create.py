"""Requests for runs, as LangGraph's API has them."""

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

from selfheal.db.encoding import clean
from selfheal.db.run_requests import (
    RECURSION_LIMIT,
    Durability,
    Multitask,
    OnCompletion,
    RunOptions,
    StreamMode,
)
from selfheal.db.types import Agent
from selfheal.server.api.schemas.base import (
    Body,
    BoundedObject,
    CheckpointBody,
    CheckpointId,
    bounded,
    checkpoint_id_of,
)
from selfheal.server.api.schemas.requests import RequestBody

Node = Literal["manager", "worker", "evaluator"]
_MOST_ENTRIES: Final = 20


class HealInput(Body):
    """The input of the optimizer."""

    agent: Agent | None = Field(
        None, description="The agent to heal; null: the one identified as the cause"
    )
    force: bool = Field(
        default=False, description="Heal even with too few failures, or during the cool-down"
    )


class ConfigBody(Body):
    """The fields of LangChain's config that clients send."""

    tags: list[Annotated[str, Field(max_length=200)]] = Field(
        default_factory=list, max_length=50, description="Tags of the trace"
    )
    recursion_limit: int = Field(
        RECURSION_LIMIT, ge=1, le=100, description="Maximum number of steps of the graph"
    )
    metadata: BoundedObject = Field(
        default_factory=dict,
        description="Merged into the run's metadata, which takes precedence",
        exclude=True,
    )
    configurable: BoundedObject | None = Field(
        None, description="Accepted and ignored: no node reads it", exclude=True
    )


def _few(value: object) -> object:
    """Refuse a long list at once: pydantic would report each invalid entry."""
    if isinstance(value, list) and len(value) > _MOST_ENTRIES:
        raise ValueError(f"has more than {_MOST_ENTRIES} entries")
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else _few(value)


def _all_nodes(value: object) -> object:
    return ["manager", "worker", "evaluator"] if value == "*" else _few(value)


Modes = Annotated[list[StreamMode], BeforeValidator(_listed), Field(max_length=_MOST_ENTRIES)]
Nodes = Annotated[list[Node], BeforeValidator(_all_nodes), Field(max_length=_MOST_ENTRIES)]


def _request_schema() -> dict[str, Any]:
    """Return the schema of the agent's input without references to other schemas."""
    schema = RequestBody.model_json_schema()
    schema["properties"]["examples"]["items"] = schema.pop("$defs")["ExampleBody"]
    return schema


class RunCreate(Body):
    """A run to be created. Fields of LangGraph's API that are not listed here are refused."""

    assistant_id: str = Field(
        max_length=100, description="The graph to run, by name or id", examples=["agent"]
    )
    input: dict[str, Any] | None = Field(
        None,
        description="The graph's input; null to continue from the thread's state",
        json_schema_extra={"anyOf": [_request_schema(), {"type": "null"}]},
    )
    command: BoundedObject | None = Field(
        None, description="Only `resume`: continue after an interrupt"
    )
    config: ConfigBody = Field(default_factory=ConfigBody, description="Configuration of the run")
    context: BoundedObject | None = Field(None, description="Not supported: omit it")
    metadata: BoundedObject = Field(
        default_factory=dict, description="Arbitrary metadata of the client"
    )
    checkpoint: CheckpointBody | None = Field(
        None, description="The checkpoint of the thread to start from"
    )
    checkpoint_id: CheckpointId | None = Field(
        None, description="The id of the checkpoint, instead of `checkpoint`"
    )
    stream_mode: Modes | None = Field(None, description="The kinds of events to stream")
    stream_subgraphs: bool | None = Field(
        None, description="No effect: there are no subgraphs", exclude=True
    )
    stream_resumable: bool = Field(
        default=False,
        description="If true, a client that joins later receives all events from the start;"
        " otherwise only new ones. `Last-Event-ID` resumes in both cases",
    )
    interrupt_before: Nodes | None = Field(None, description="Nodes to stop before; * for all")
    interrupt_after: Nodes | None = Field(None, description="Nodes to stop after; * for all")
    multitask_strategy: Multitask | None = Field(
        None,
        description="If the thread has an unfinished run: enqueue this one, reject it, or"
        " interrupt or roll back the other",
    )
    if_not_exists: Literal["create", "reject"] = Field(
        "reject", description="What to do if the thread does not exist"
    )
    on_disconnect: Literal["cancel", "continue"] = Field(
        "continue", description="What happens to the run if the client disconnects"
    )
    on_completion: OnCompletion = Field(
        "delete", description="For a run without a thread: whether its state is kept"
    )
    durability: Durability | None = Field(
        None,
        description="When checkpoints are written; with exit, an interrupted run starts over",
    )
    checkpoint_during: bool | None = Field(
        None,
        description="For older clients, instead of `durability`: true is async, false is exit",
        exclude=True,
    )
    after_seconds: float = Field(
        0, ge=0, le=30 * 86_400, description="Delay before the run may start, in seconds"
    )
    webhook: str | None = Field(
        None, max_length=2000, description="URL to which the ended run is posted, signed"
    )

    @field_validator("on_disconnect", "on_completion", "if_not_exists", mode="before")
    @classmethod
    def _null_is_default(cls, value: object, info: Any) -> object:
        return cls.model_fields[info.field_name].default if value is None else value

    @field_validator("after_seconds", "metadata", "config", "stream_resumable", mode="before")
    @classmethod
    def _null_is_empty(cls, value: object, info: Any) -> object:
        if value is None:
            return cls.model_fields[info.field_name].get_default(call_default_factory=True)
        return value

    @model_validator(mode="after")
    def _older_names(self) -> "RunCreate":
        if self.durability is None and self.checkpoint_during is not None:
            self.durability = "async" if self.checkpoint_during else "exit"
        self.metadata = bounded({**self.config.metadata, **self.metadata})
        return self

    @field_validator("command")
    @classmethod
    def _only_resume(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value and {key for key, part in value.items() if part is not None} - {"resume"}:
            raise ValueError("may only contain 'resume': only nodes write to the state")
        return value

    @field_validator("context")
    @classmethod
    def _no_context(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value:
            raise ValueError("these graphs have no context: omit it")
        return value

    def options(self, assistant: str, *, streamed: bool, temporary: bool) -> RunOptions:
        """Return how the run is executed.

        Args:
            assistant: the graph that it runs.
            streamed: whether events are stored by default.
            temporary: the run has a thread of its own, whose state is deleted when it ends.

        Raises:
            RequestValidationError: the input does not fit the graph.
        """
        modes = self.stream_mode
        if modes is None:
            modes = ["values"] if streamed else []
        before, after = self.interrupt_before, self.interrupt_after
        return RunOptions(
            input=_parsed_input(assistant, self.input),
            stream_mode=tuple(modes),
            stream_resumable=self.stream_resumable,
            tags=tuple(clean(self.config.tags)),
            recursion_limit=self.config.recursion_limit,
            durability=self.durability,
            interrupt_before=None if before is None else tuple(before),
            interrupt_after=None if after is None else tuple(after),
            checkpoint_id=clean(checkpoint_id_of(self.checkpoint_id, self.checkpoint)),
            on_completion=self.on_completion,
            temporary=temporary,
            webhook=clean(self.webhook),
        )


def _parsed_input(assistant: str, given: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a graph's input as the graph takes it.

    Raises:
        RequestValidationError: it does not fit the graph.
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
    """A run of a batch, where the JavaScript client spells the fields in camel case."""

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

    status: Literal["pending", "running", "all"] | None = Field(
        None, description="All runs with this status"
    )
    thread_id: UUID | None = Field(None, description="Only runs of this thread")
    run_ids: list[UUID] | None = Field(None, max_length=1000, description="Runs by their ids")
