"""Threads and their states, as LangGraph's API has them."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, Field, ValidationError

from selfheal.db.threads import SortBy, Thread, ThreadStatus
from selfheal.server.api.schemas.base import (
    Answer,
    Body,
    BoundedObject,
    CheckpointBody,
    CheckpointId,
    FieldNames,
    SortOrder,
    StateFields,
    checkpoint_id_of,
    fields_of,
)
from selfheal.server.api.schemas.requests import RequestBody
from selfheal.server.serialization import checkpoint_ref, loads


class ThreadCreate(Body):
    """A thread to be created."""

    thread_id: UUID | None = Field(None, description="The id; by default a new one")
    metadata: BoundedObject | None = Field(None, description="Arbitrary metadata of the client")
    if_exists: str | None = Field(
        None,
        pattern="^(raise|do_nothing)$",
        description="What to do if a thread with this id exists",
    )


class ThreadPatch(Body):
    """An update of a thread's metadata."""

    metadata: BoundedObject = Field(description="Keys to add or replace")


class ThreadCount(Body):
    """Selects threads."""

    metadata: BoundedObject | None = Field(
        None, description="Only those whose metadata contain this"
    )
    values: BoundedObject | None = Field(None, description="Only those whose state contains this")
    status: ThreadStatus | None = Field(None, description="Only those with this status")


class ThreadAnswer(Answer):
    """A thread."""

    thread_id: UUID = Field(description="The thread")
    created_at: datetime = Field(description="When it was created")
    updated_at: datetime = Field(description="When it was last changed")
    state_updated_at: datetime = Field(description="The same as updated_at")
    metadata: dict[str, Any] = Field(description="Arbitrary metadata of the client")
    status: ThreadStatus = Field(description="idle, busy, interrupted or error")
    config: dict[str, Any] = Field(default_factory=dict, description="Empty")
    values: dict[str, Any] | None = Field(description="The state after its last run")
    interrupts: dict[str, Any] = Field(
        default_factory=dict, description="Pending interrupts; always empty"
    )
    error: dict[str, Any] | None = Field(description="Why its last run failed, null if it did not")

    @classmethod
    def of(cls, thread: Thread) -> "ThreadAnswer":
        """Return a thread as LangGraph's API has it."""
        return cls(
            thread_id=thread.id,
            created_at=thread.created_at,
            updated_at=thread.updated_at,
            state_updated_at=thread.updated_at,
            metadata=thread.metadata,
            status=thread.status,
            values=thread.values,
            error=thread.error,
        )


class ThreadSearch(Body):
    """Selects and sorts threads."""

    ids: list[UUID] | None = Field(None, max_length=1000, description="Only these threads")
    metadata: BoundedObject | None = Field(
        None, description="Only those whose metadata contain this"
    )
    values: BoundedObject | None = Field(None, description="Only those whose state contains this")
    status: ThreadStatus | None = Field(None, description="Only those with this status")
    limit: int = Field(10, ge=1, le=1000, description="Maximum number to return")
    offset: int = Field(0, ge=0, le=2**31, description="Number to skip")
    sort_by: SortBy | None = Field(None, description="The field to sort by; created_at by default")
    sort_order: SortOrder | None = Field(None, description="desc by default")
    select: Annotated[FieldNames | None, AfterValidator(fields_of(ThreadAnswer))] = Field(
        None, description="Return only these fields"
    )


class StateUpdate(Body):
    """An update of a thread's state. Only a run's input can be written; nodes write the rest."""

    values: dict[str, Any] | None = Field(None, description="`request`, and `examples` if any")
    as_node: str | None = Field(None, max_length=100, description="__start__, or omitted")
    checkpoint: CheckpointBody | None = Field(None, description="The checkpoint to update")
    checkpoint_id: CheckpointId | None = Field(
        None, description="The id of the checkpoint, instead of `checkpoint`"
    )

    def input_values(self) -> dict[str, Any]:
        """Return the values as the graph takes them.

        Raises:
            RequestValidationError: they are not a run's input, or claim to be a node's.
        """
        if self.as_node not in (None, "__start__"):
            why = "must be '__start__': only nodes write as nodes"
            wrong = {"loc": ("body", "as_node"), "msg": why, "type": "value_error"}
            raise RequestValidationError([wrong])
        try:
            return dict(RequestBody.model_validate(self.values or {}).input())
        except ValidationError as error:
            found = [{**each, "loc": ("body", "values", *each["loc"])} for each in error.errors()]
            raise RequestValidationError(found) from None


class StateAt(Body):
    """Selects a state."""

    checkpoint: CheckpointBody = Field(description="The checkpoint")
    subgraphs: bool = Field(default=False, description="No effect: there are no subgraphs")
    select: StateFields | None = Field(None, description="Return only these fields")


class ConfiguredCheckpoint(CheckpointBody):
    """A checkpoint, by itself or in LangChain's config."""

    configurable: CheckpointBody | None = Field(None, description="The checkpoint in a config")


class HistoryBody(Body):
    """Selects states of a thread."""

    limit: int = Field(10, ge=1, le=1000, description="Maximum number to return")
    before: ConfiguredCheckpoint | CheckpointId | None = Field(
        None, description="Only states before this checkpoint"
    )
    metadata: BoundedObject | None = Field(
        None, description="Only those whose metadata contain this"
    )
    checkpoint: CheckpointBody | None = Field(None, description="Only this checkpoint")
    select: StateFields | None = Field(None, description="Return only these fields of each")

    def before_id(self) -> str | None:
        """Return the checkpoint that all states must precede, None if there is no such limit."""
        if isinstance(self.before, ConfiguredCheckpoint):
            return checkpoint_id_of(self.before.checkpoint_id, self.before.configurable)
        return self.before


def state_of(snapshot: Any) -> dict[str, Any]:
    """Return a `StateSnapshot` as LangGraph's API has it."""
    at = checkpoint_ref(snapshot.config)
    before = checkpoint_ref(snapshot.parent_config)
    tasks = [_task(each) for each in snapshot.tasks]
    state: dict[str, Any] = loads(
        {
            "values": snapshot.values,
            "next": snapshot.next,
            "tasks": tasks,
            "metadata": snapshot.metadata or {},
            "created_at": snapshot.created_at,
            "checkpoint": at,
            "parent_checkpoint": before,
            "interrupts": snapshot.interrupts,
            "checkpoint_id": at and at["checkpoint_id"],
            "parent_checkpoint_id": before and before["checkpoint_id"],
        }
    )
    return state


def _task(task: Any) -> dict[str, Any]:
    return {
        "id": task.id,
        "name": task.name,
        "path": task.path,
        "error": str(task.error) if task.error else None,
        "interrupts": task.interrupts,
        "checkpoint": None,
        "state": None,
        "result": task.result,
    }
