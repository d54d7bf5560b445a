"""What LangGraph's wire answers: assistants, threads, states, runs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from selfheal.db.claims import Multitask
from selfheal.db.runs import Run, Status
from selfheal.db.threads import SortBy, Thread, ThreadStatus
from selfheal.server.api.assistants import Assistant, named
from selfheal.server.api.schemas.base import (
    Answer,
    Body,
    CheckpointBody,
    CheckpointId,
    Names,
    Small,
    SortOrder,
    StateFields,
    fields_of,
    place_of,
)
from selfheal.server.serialization import loads


class AssistantAnswer(Answer):
    """A graph that runs can be asked of."""

    assistant_id: UUID = Field(description="Its id; its name serves as well")
    graph_id: str = Field(description="Its name")
    name: str = Field(description="Its name")
    description: str = Field(description="What it does")
    config: dict[str, Any] = Field(default_factory=dict, description="Empty")
    context: dict[str, Any] = Field(default_factory=dict, description="Empty")
    metadata: dict[str, Any] = Field(description="Who made it")
    version: int = Field(1, description="Always 1: prompts have versions here, graphs have not")
    created_at: datetime = Field(description="When it was made")
    updated_at: datetime = Field(description="The same")

    @classmethod
    def of(cls, assistant: Assistant) -> "AssistantAnswer":
        """Return it as the wire has it."""
        return cls(
            assistant_id=assistant.id,
            graph_id=assistant.name,
            name=assistant.name,
            description=assistant.description,
            metadata={"created_by": "system"},
            created_at=assistant.created_at,
            updated_at=assistant.created_at,
        )


class AssistantCount(Body):
    """Which assistants to count."""

    graph_id: str | None = Field(None, max_length=100, description="Of this graph")
    name: str | None = Field(None, max_length=100, description="With this in their name")
    metadata: Small | None = Field(None, description="With this in their metadata")


class AssistantSearch(AssistantCount):
    """Which assistants, and how they are listed."""

    limit: int = Field(10, ge=1, le=1000, description="How many at most")
    offset: int = Field(0, ge=0, le=2**31, description="How many to pass over")
    sort_by: Literal["assistant_id", "graph_id", "name", "created_at", "updated_at"] | None = Field(
        None, description="By what; as in langgraph.json by default"
    )
    sort_order: SortOrder | None = Field(None, description="desc by default, if sort_by is given")
    select: Annotated[Names | None, AfterValidator(fields_of(AssistantAnswer))] = Field(
        None, description="Only these fields"
    )


class AssistantVersions(Body):
    """Which versions of an assistant: there is one."""

    metadata: Small | None = Field(None, description="With this in their metadata")
    limit: int = Field(10, ge=1, le=1000, description="How many at most")
    offset: int = Field(0, ge=0, le=2**31, description="How many to pass over")


class ThreadCreate(Body):
    """A thread to be created."""

    thread_id: UUID | None = Field(None, description="Its id; one is made if there is none")
    metadata: Small | None = Field(None, description="Whatever you like to note")
    if_exists: str | None = Field(
        None, pattern="^(raise|do_nothing)$", description="If there is one of that id"
    )


class ThreadPatch(Body):
    """What is added to a thread's metadata."""

    metadata: Small = Field(description="Added to what is there")


class ThreadCount(Body):
    """Which threads to count."""

    metadata: Small | None = Field(None, description="With this in their metadata")
    values: Small | None = Field(None, description="With this in their state")
    status: ThreadStatus | None = Field(None, description="In this status")


class ThreadAnswer(Answer):
    """A thread."""

    thread_id: UUID = Field(description="The thread")
    created_at: datetime = Field(description="When it was created")
    updated_at: datetime = Field(description="When it was changed last")
    state_updated_at: datetime = Field(description="The same")
    metadata: dict[str, Any] = Field(description="What was noted")
    status: ThreadStatus = Field(description="idle, busy, interrupted or error")
    config: dict[str, Any] = Field(default_factory=dict, description="Empty")
    values: dict[str, Any] | None = Field(description="Its state, as its last run left it")
    interrupts: dict[str, Any] = Field(default_factory=dict, description="What it waits for")
    error: dict[str, Any] | None = Field(description="Why its last run failed")

    @classmethod
    def of(cls, thread: Thread) -> "ThreadAnswer":
        """Return it as the wire has it."""
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
    """Which threads."""

    ids: list[UUID] | None = Field(None, max_length=1000, description="Of these")
    metadata: Small | None = Field(None, description="With this in their metadata")
    values: Small | None = Field(None, description="With this in their state")
    status: ThreadStatus | None = Field(None, description="In this status")
    limit: int = Field(10, ge=1, le=1000, description="How many at most")
    offset: int = Field(0, ge=0, le=2**31, description="How many to pass over")
    sort_by: SortBy | None = Field(None, description="By what; created_at by default")
    sort_order: SortOrder | None = Field(None, description="desc by default")
    select: Annotated[Names | None, AfterValidator(fields_of(ThreadAnswer))] = Field(
        None, description="Only these fields"
    )


class StateUpdate(Body):
    """What is added to a thread's state: the input's fields alone."""

    values: dict[str, Any] | None = Field(None, description="`request`, and `examples` if any")
    as_node: str | None = Field(None, max_length=100, description="__start__, or nothing")
    checkpoint: CheckpointBody | None = Field(None, description="Where on the thread")
    checkpoint_id: CheckpointId | None = Field(None, description="The same, shorter")


class StateAt(Body):
    """Which state."""

    checkpoint: CheckpointBody = Field(description="Where on the thread")
    subgraphs: bool = Field(default=False, description="There are none")
    select: StateFields | None = Field(None, description="Only these fields")


class ConfiguredCheckpoint(CheckpointBody):
    """A place in a thread's history, as itself or within the config of LangChain."""

    configurable: CheckpointBody | None = Field(None, description="Where it is in a config")


class HistoryBody(Body):
    """Which states."""

    limit: int = Field(10, ge=1, le=1000, description="How many at most")
    before: ConfiguredCheckpoint | CheckpointId | None = Field(None, description="Only older ones")
    metadata: Small | None = Field(None, description="With this in their metadata")
    checkpoint: CheckpointBody | None = Field(None, description="Where on the thread")

    select: StateFields | None = Field(None, description="Only these fields of each")

    def older_than(self) -> str | None:
        """Return the checkpoint that all are older than; None if any may be answered."""
        if isinstance(self.before, ConfiguredCheckpoint):
            return place_of(self.before.checkpoint_id, self.before.configurable)
        return self.before


class RunWire(Answer):  # type: ignore[no-redef]  # pydantic's plugin trips over `kwargs`
    """A run, as LangGraph's wire has it. GET /runs/{run_id} tells more."""

    run_id: UUID = Field(description="The run")
    thread_id: UUID = Field(description="Its thread")
    assistant_id: UUID = Field(description="The graph that runs")
    created_at: datetime = Field(description="When it was accepted")
    updated_at: datetime = Field(description="When it changed last")
    status: Status = Field(description="pending, running, success, error, timeout, interrupted")
    metadata: dict[str, Any] = Field(description="What was noted")
    kwargs: dict[str, Any] = Field(description="What was asked for")
    multitask_strategy: Multitask = Field(description="What it does if its thread is busy")
    langsmith_session_name: None = Field(None, description="Null: see LANGSMITH_PROJECT")

    @classmethod
    def of(cls, run: Run) -> "RunWire":
        """Return it as the wire has it."""
        return cls(
            run_id=run.id,
            thread_id=run.thread_id,
            assistant_id=named(run.assistant).id,
            created_at=run.created_at,
            updated_at=run.updated_at or run.created_at,
            status=run.status,
            metadata=run.metadata,
            kwargs=run.kwargs,
            multitask_strategy=run.multitask,
        )


def state_of(snapshot: Any) -> dict[str, Any]:
    """Return a state as the wire has it."""
    at = place(snapshot.config)
    before = place(snapshot.parent_config)
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


def place(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return where a checkpoint is: thread, namespace, id; None if there is none."""
    found = (config or {}).get("configurable") or {}
    if not found.get("checkpoint_id"):
        return None
    return {
        "thread_id": found["thread_id"],
        "checkpoint_ns": found.get("checkpoint_ns", ""),
        "checkpoint_id": found["checkpoint_id"],
    }
