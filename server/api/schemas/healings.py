"""Healings and their receipts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from selfheal.db.types import Agent
from selfheal.server.api.schemas.base import Answer, Body, ExactText


class HealBody(Body):
    """Ask for a pass of the optimizer."""

    agent: Agent | None = Field(
        None, description="Whose prompt to look at; null: whichever is to blame"
    )
    force: bool = Field(
        default=False, description="Heal even if there are too few failures, or too soon"
    )


class ApproveBody(Body):
    """Release a staged candidate."""

    at_once: bool = Field(default=False, description="To all threads, without a canary")
    note: ExactText = Field("", max_length=1000, description="Why")


class PauseBody(Body):
    """Put healing on hold, or let it go on."""

    reason: ExactText = Field("a person's word", max_length=1000, description="Why")


class PauseAnswer(Answer):
    """Whether healing is on hold."""

    paused: bool = Field(description="Whether it is")
    reason: str = Field(description="Why, in words")
    actor: str = Field(description="Who said so")
    created_at: datetime = Field(description="When")


class LastPassAnswer(Answer):
    """What the optimizer last came to. All fields are null before its first pass."""

    outcome: str | None = Field(None, description="`healthy`, `cooling_down`, `promoted`, …")
    reason: str | None = Field(None, description="Why it did that, or why it did nothing")
    ended_at: datetime | None = Field(None, description="When the pass ended")


class PassAnswer(Answer):
    """A pass that was asked for."""

    agent: Agent | None = Field(
        description="Whose prompt is looked at; null where nobody was asked about or blamed"
    )
    outcome: str | None = Field(description="How it ended; null while a healing is under way")
    healing_id: UUID | None = Field(None, description="The healing, if one was opened")
    reason: str = Field("", description="Why, in words")


class FollowUpAnswer(Answer):
    """A step of a healing after it was closed."""

    at: datetime = Field(description="When")
    outcome: str = Field(description="`canary`, `promoted` or `rejected`: the outcome from then on")
    reason: str = Field(description="What was done: approved, rejected, promoted, rolled back")
    actor: str = Field(description="Who did it: a key, `cli`, or `optimizer`")


class HealingAnswer(Answer):
    """One healing."""

    id: UUID = Field(description="The healing")
    agent: Agent = Field(description="Whose prompt it is about")
    trigger: str = Field(description="What set it off")
    state: str = Field(description="The state that it is in")
    outcome: str | None = Field(
        description="How it ended, the last follow-up included; null while it is under way"
    )
    reason: str = Field(description="Why it was closed as it was, before any follow-up")
    follow_ups: list[FollowUpAnswer] = Field(description="The steps since, oldest first")
    incumbent_version: int = Field(description="The version that was live")
    to_version: int | None = Field(description="The version that it stored, if any")
    calls_used: int = Field(description="Model calls made for it")
    input_tokens: int = Field(description="Tokens read for it")
    output_tokens: int = Field(description="Tokens written for it")
    opened_at: datetime = Field(description="When it was opened")
    closed_at: datetime | None = Field(description="When it ended")


class HealingDetail(HealingAnswer):
    """One healing with its receipt."""

    receipt: dict[str, Any] | None = Field(
        description="All that was seen, tried, decided and done until it was closed; null while"
        " it is under way"
    )
    trace_url: str | None = Field(
        None, description="Where LangSmith shows its trace; null where healings are not traced"
    )
