"""Healings and their receipts."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AliasChoices, BeforeValidator, Field, SerializeAsAny, SkipValidation

from selfheal.db.reasons import Reason
from selfheal.db.types import Agent
from selfheal.optimizer.receipt.schema import Receipt
from selfheal.optimizer.wording import sentence
from selfheal.server.api.schemas.base import Answer, Body, ExactText

ReasonText = Annotated[str, BeforeValidator(sentence)]
"""A stored reason as English text; empty where there is none."""

_STORED = AliasChoices("reason")  # both fields are made of what is stored as the reason
_CODED = "The reason as a code with its figures, which do not change when the text is reworded"


class HealBody(Body):
    """Start an optimizer pass."""

    agent: Agent | None = Field(
        None, description="The agent to heal; null: the one identified as the cause"
    )
    force: bool = Field(
        default=False, description="Heal even with too few failures, or during the cool-down"
    )


class ApproveBody(Body):
    """Release a candidate that waits for approval."""

    at_once: bool = Field(default=False, description="To all threads, without a canary")
    note: ExactText = Field("", max_length=1000, description="The reason, stored with the action")


class PauseBody(Body):
    """Pause or resume healing."""

    reason: ExactText = Field("requested by an operator", max_length=1000, description="The reason")


class PauseAnswer(Answer):
    """Whether healing is paused."""

    paused: bool = Field(description="Whether healing is paused")
    reason: ReasonText = Field(description="The reason, as text")
    coded_reason: Reason = Field(validation_alias=_STORED, description=_CODED)
    actor: str = Field(description="Who paused or resumed it")
    created_at: datetime = Field(description="When")


class LastPassAnswer(Answer):
    """The outcome of the last optimizer pass. All fields are null before the first."""

    outcome: str | None = Field(None, description="`healthy`, `cooling_down`, `promoted`, …")
    reason: ReasonText | None = Field(None, description="The reason for this outcome, as text")
    coded_reason: Reason | None = Field(None, validation_alias=_STORED, description=_CODED)
    ended_at: datetime | None = Field(None, description="When the pass ended")


class PassAnswer(Answer):
    """An optimizer pass that was requested."""

    agent: Agent | None = Field(
        description="The agent whose prompt is healed; null if no agent was requested and none was"
        " identified as the cause"
    )
    outcome: str | None = Field(description="The outcome; null while a healing is in progress")
    healing_id: UUID | None = Field(None, description="The healing, if one was opened")
    reason: ReasonText = Field("", description="The reason, as text")
    coded_reason: Reason | None = Field(None, validation_alias=_STORED, description=_CODED)


class FollowUpAnswer(Answer):
    """A step of a healing after it was closed."""

    at: datetime = Field(description="When")
    outcome: str = Field(
        description="`canary`, `needs_approval`, `promoted` or `rejected`: the outcome from then on"
    )
    reason: ReasonText = Field(
        description="The step and its reason, as text: approved, rejected, held, promoted, rolled"
        " back"
    )
    coded_reason: Reason = Field(validation_alias=_STORED, description=_CODED)
    actor: str = Field(description="Who did it: a key, `cli`, or `optimizer`")


class HealingAnswer(Answer):
    """One healing."""

    id: UUID = Field(description="The healing")
    agent: Agent = Field(description="The agent whose prompt is healed")
    trigger: str = Field(description="What triggered it")
    state: str = Field(description="The current state, or the last one")
    outcome: str | None = Field(
        description="The outcome, after the last follow-up; null while it is in progress"
    )
    reason: ReasonText = Field(
        description="The reason for the outcome when it was closed, as text; empty while it is in"
        " progress"
    )
    coded_reason: Reason | None = Field(validation_alias=_STORED, description=_CODED)
    follow_ups: list[FollowUpAnswer] = Field(
        description="The steps after it was closed, oldest first"
    )
    incumbent_version: int = Field(description="The version that was live")
    to_version: int | None = Field(description="The version that it created, if any")
    calls_used: int = Field(description="Model calls")
    input_tokens: int = Field(description="Input tokens")
    output_tokens: int = Field(description="Output tokens")
    opened_at: datetime = Field(description="When it was opened")
    closed_at: datetime | None = Field(description="When it ended")


class HealingDetail(HealingAnswer):
    """One healing with its receipt."""

    # Given as it is stored: verification says what does not fit the schema, not this answer.
    receipt: SkipValidation[SerializeAsAny[Receipt]] | None = Field(
        description="All that was seen, tried, decided and done until it was closed; null while"
        " it is in progress. A receipt of an older version has another `schema_version`, or none"
    )
    trace_url: str | None = Field(
        None, description="URL of its trace in LangSmith; null if healings are not traced"
    )
