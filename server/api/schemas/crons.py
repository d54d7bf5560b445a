"""Crons, as LangGraph's API has them: runs by a schedule."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, Field

from selfheal.db.crons import Cron, OnRunCompleted, SortBy
from selfheal.server.api.schemas.base import (
    Answer,
    Body,
    BoundedObject,
    FieldNames,
    SortOrder,
    fields_of,
)
from selfheal.server.api.schemas.create import RunCreate
from selfheal.server.assistants import find_assistant
from selfheal.server.cron_schedule import next_date, zone


def _valid_schedule(schedule: str) -> str:
    next_date(schedule, None, datetime.now(UTC))
    return schedule


def _valid_timezone(timezone: str | None) -> str | None:
    zone(timezone)
    return timezone


def _storable(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    if not 1 < moment.year < 9999:  # the first and the last year are out of range in other zones
        raise ValueError("must be in the years 2 to 9998")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Schedule = Annotated[str, Field(max_length=200), AfterValidator(_valid_schedule)]
Timezone = Annotated[str | None, Field(max_length=100), AfterValidator(_valid_timezone)]
Listed = FieldNames | Annotated[str, Field(max_length=100)]
Moment = Annotated[datetime | None, AfterValidator(_storable)]


class CronCreate(RunCreate):
    """A run that is repeated on a schedule."""

    schedule: Schedule = Field(
        description="minute, hour, day of the month, month, day of the week", examples=["0 6 * * 1"]
    )
    timezone: Timezone = Field(None, description="The timezone of the schedule; UTC by default")
    end_time: Moment = Field(None, description="No run after this; UTC if it has no offset")
    enabled: bool = Field(default=True, description="Whether runs are submitted")
    on_run_completed: OnRunCompleted | None = Field(
        None, description="Without a thread: whether the state of each run is kept"
    )

    def payload(self) -> dict[str, Any]:
        """Return the run as it is stored: the fields that were given, without the schedule's."""
        return self.model_dump(mode="json", include=_RUN_FIELDS, exclude_unset=True)


_RUN_FIELDS: Final = set(RunCreate.model_fields) - {"metadata"}
_CRON_FIELDS: Final = set(CronCreate.model_fields) - set(RunCreate.model_fields)


class CronPatch(Body):
    """Fields to update. Omitted or null ones are unchanged, except that null clears `end_time`."""

    schedule: Schedule | None = Field(None, description="The schedule")
    timezone: Timezone = Field(None, description="The timezone of the schedule")
    end_time: Moment = Field(None, description="No run after this; null: no end")
    enabled: bool | None = Field(None, description="Whether runs are submitted")
    on_run_completed: OnRunCompleted | None = Field(
        None, description="Whether the state of each run is kept"
    )
    metadata: BoundedObject | None = Field(None, description="Keys to add or replace")
    input: dict[str, Any] | None = Field(None, description="The graph's input")
    config: BoundedObject | None = Field(None, description="Configuration of the runs")
    context: BoundedObject | None = Field(None, description="Not supported: omit it")
    webhook: str | None = Field(
        None, max_length=2000, description="URL to which ended runs are posted"
    )
    interrupt_before: Listed | None = Field(None, description="Nodes to stop before")
    interrupt_after: Listed | None = Field(None, description="Nodes to stop after")
    stream_mode: Listed | None = Field(None, description="The kinds of events to stream")
    stream_subgraphs: bool | None = Field(None, description="No effect: there are no subgraphs")
    stream_resumable: bool | None = Field(
        None, description="Whether a client that joins later receives all events"
    )
    durability: str | None = Field(None, max_length=100, description="When checkpoints are written")

    def applied_to(self, cron: Cron) -> CronCreate:
        """Return a cron with these fields updated.

        Raises:
            ValidationError: a field is not valid.
        """
        new = self.model_dump(exclude_unset=True)
        changed = {key: part for key, part in new.items() if part is not None or key == "end_time"}
        kept = {key: getattr(cron, key) for key in _CRON_FIELDS}
        metadata = {**cron.metadata, **(changed.pop("metadata", None) or {})}
        return CronCreate.model_validate({**cron.payload, **kept, **changed, "metadata": metadata})


class CronAnswer(Answer):
    """A cron."""

    cron_id: UUID = Field(description="The cron")
    assistant_id: UUID = Field(description="The graph that it runs")
    thread_id: UUID | None = Field(description="The thread of its runs; null: each has its own")
    on_run_completed: OnRunCompleted | None = Field(
        description="Whether the state of each run is kept"
    )
    end_time: datetime | None = Field(description="No run after this")
    schedule: str = Field(description="The schedule")
    timezone: str | None = Field(description="The timezone of the schedule; null: UTC")
    created_at: datetime = Field(description="When it was created")
    updated_at: datetime = Field(description="When it was last changed")
    payload: dict[str, Any] = Field(description="The run, as it was requested")
    user_id: str = Field(description="The tenant that it belongs to")
    next_run_date: datetime | None = Field(description="When it runs next; null: never")
    metadata: dict[str, Any] = Field(
        description="Arbitrary metadata of the client, copied to its runs"
    )
    enabled: bool = Field(description="Whether runs are submitted")

    @classmethod
    def of(cls, cron: Cron) -> "CronAnswer":
        """Return a cron as LangGraph's API has it."""
        same = {name: getattr(cron, name) for name in cls.model_fields if hasattr(cron, name)}
        return cls(
            **same,
            cron_id=cron.id,
            assistant_id=find_assistant(cron.assistant).id,
            user_id=cron.tenant,
            next_run_date=cron.next_run_at,
        )


class CronCount(Body):
    """Selects crons."""

    assistant_id: str | None = Field(None, max_length=100, description="Only of this graph")
    thread_id: UUID | None = Field(None, description="Only on this thread")
    metadata: BoundedObject | None = Field(
        None, description="Only those whose metadata contain this"
    )
    enabled: bool | None = Field(None, description="Only enabled or only disabled ones")


class CronSearch(CronCount):
    """Selects and sorts crons."""

    limit: int = Field(10, ge=1, le=1000, description="Maximum number to return")
    offset: int = Field(0, ge=0, le=2**31, description="Number to skip")
    sort_by: SortBy | None = Field(None, description="The field to sort by; created_at by default")
    sort_order: SortOrder | None = Field(None, description="desc by default")
    select: Annotated[FieldNames | None, AfterValidator(fields_of(CronAnswer))] = Field(
        None, description="Return only these fields"
    )
