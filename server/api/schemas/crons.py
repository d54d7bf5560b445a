"""Crons as LangGraph's wire has them: runs that come again and again."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, Field

from selfheal.db.crons import Cron, OnRunCompleted, SortBy
from selfheal.server.api.assistants import named
from selfheal.server.api.schemas.base import Answer, Body, Names, Small, SortOrder, fields_of
from selfheal.server.api.schemas.create import RunCreate
from selfheal.server.cron_schedule import next_date, zone


def _coming(schedule: str) -> str:
    next_date(schedule, None, datetime.now(UTC))
    return schedule


def _known(timezone: str | None) -> str | None:
    zone(timezone)
    return timezone


def _storable(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    if not 1 < moment.year < 9999:  # on a clock elsewhere the first and the last have no name
        raise ValueError("must be in the years 2 to 9998")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Schedule = Annotated[str, Field(max_length=200), AfterValidator(_coming)]
Timezone = Annotated[str | None, Field(max_length=100), AfterValidator(_known)]
Listed = Names | Annotated[str, Field(max_length=100)]
Moment = Annotated[datetime | None, AfterValidator(_storable)]


class CronCreate(RunCreate):
    """A run that is to come by a schedule."""

    schedule: Schedule = Field(
        description="minute, hour, day of the month, month, day of the week", examples=["0 6 * * 1"]
    )
    timezone: Timezone = Field(None, description="Whose clock it goes by; UTC if none is named")
    end_time: Moment = Field(None, description="Not after this; UTC if it has no offset")
    enabled: bool = Field(default=True, description="Whether it comes at all")
    on_run_completed: OnRunCompleted | None = Field(
        None, description="Without a thread: whether to keep each run's state as one"
    )

    def run(self) -> dict[str, Any]:
        """Return the run as it is kept: what was said of it, and nothing of when it comes."""
        return self.model_dump(mode="json", include=_OF_RUNS, exclude_unset=True)


_OF_RUNS: Final = set(RunCreate.model_fields) - {"metadata"}
_OF_CRONS: Final = set(CronCreate.model_fields) - set(RunCreate.model_fields)


class CronPatch(Body):
    """What is different from now on; what is left out stays, null as well, but for `end_time`."""

    schedule: Schedule | None = Field(None, description="Another schedule")
    timezone: Timezone = Field(None, description="Another clock")
    end_time: Moment = Field(None, description="Not after this; null: for ever")
    enabled: bool | None = Field(None, description="Whether it comes at all")
    on_run_completed: OnRunCompleted | None = Field(None, description="What becomes of the state")
    metadata: Small | None = Field(None, description="Added to what is there")
    input: dict[str, Any] | None = Field(None, description="Another input")
    config: Small | None = Field(None, description="Other settings")
    context: Small | None = Field(None, description="Not taken: leave it out")
    webhook: str | None = Field(None, max_length=2000, description="Another address to be told")
    interrupt_before: Listed | None = Field(None, description="Other nodes to stop before")
    interrupt_after: Listed | None = Field(None, description="Other nodes to stop after")
    stream_mode: Listed | None = Field(None, description="What is streamed")
    stream_subgraphs: bool | None = Field(None, description="There are none")
    stream_resumable: bool | None = Field(None, description="Whether who joins gets all of it")
    durability: str | None = Field(None, max_length=100, description="When checkpoints are written")

    def upon(self, cron: Cron) -> CronCreate:
        """Return a cron as it is with this.

        Raises:
            ValidationError: a part of it is not what a cron takes.
        """
        new = self.model_dump(exclude_unset=True)
        changed = {key: part for key, part in new.items() if part is not None or key == "end_time"}
        kept = {key: getattr(cron, key) for key in _OF_CRONS}
        metadata = {**cron.metadata, **(changed.pop("metadata", None) or {})}
        return CronCreate.model_validate({**cron.payload, **kept, **changed, "metadata": metadata})


class CronAnswer(Answer):
    """A cron."""

    cron_id: UUID = Field(description="The cron")
    assistant_id: UUID = Field(description="The graph that runs")
    thread_id: UUID | None = Field(description="The thread that it runs on; null: one a run")
    on_run_completed: OnRunCompleted | None = Field(description="What becomes of a run's state")
    end_time: datetime | None = Field(description="Not after this")
    schedule: str = Field(description="When")
    timezone: str | None = Field(description="By whose clock; null: UTC")
    created_at: datetime = Field(description="When it was made")
    updated_at: datetime = Field(description="When it was changed last")
    payload: dict[str, Any] = Field(description="The run, as it was asked for")
    user_id: str = Field(description="The tenant whose it is")
    next_run_date: datetime | None = Field(description="When it comes next; null: no more")
    metadata: dict[str, Any] = Field(description="What was noted; its runs have it too")
    enabled: bool = Field(description="Whether it comes at all")

    @classmethod
    def of(cls, cron: Cron) -> "CronAnswer":
        """Return it as the wire has it."""
        same = {name: getattr(cron, name) for name in cls.model_fields if hasattr(cron, name)}
        return cls(
            **same,
            cron_id=cron.id,
            assistant_id=named(cron.assistant).id,
            user_id=cron.tenant,
            next_run_date=cron.next_run_at,
        )


class CronCount(Body):
    """Which crons."""

    assistant_id: str | None = Field(None, max_length=100, description="Of this graph")
    thread_id: UUID | None = Field(None, description="On this thread")
    metadata: Small | None = Field(None, description="With this in their metadata")
    enabled: bool | None = Field(None, description="Those that come, or those that do not")


class CronSearch(CronCount):
    """Which crons, and how they are listed."""

    limit: int = Field(10, ge=1, le=1000, description="How many at most")
    offset: int = Field(0, ge=0, le=2**31, description="How many to pass over")
    sort_by: SortBy | None = Field(None, description="By what; created_at by default")
    sort_order: SortOrder | None = Field(None, description="desc by default")
    select: Annotated[Names | None, AfterValidator(fields_of(CronAnswer))] = Field(
        None, description="Only these fields"
    )
