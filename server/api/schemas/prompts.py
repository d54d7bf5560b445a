"""Prompt versions and their releases."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, field_validator, model_validator

from selfheal.db.reasons import Reason
from selfheal.db.types import Action, Agent
from selfheal.optimizer.wording import sentence
from selfheal.server.api.schemas.base import Answer, Body, ExactText

PromptText = Annotated[
    ExactText, Field(min_length=1, max_length=40_000, description="Literal text, never a template")
]


class PromptBody(Body):
    """A new prompt version, to be stored, not released."""

    text: PromptText
    parent: int | None = Field(
        None, ge=1, le=2**31 - 1, description="The version that it was derived from"
    )
    note: ExactText = Field("", max_length=1000, description="Why it was written")

    @field_validator("text")
    @classmethod
    def _not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must not be blank")
        return value


class ActivateBody(Body):
    """A version to release."""

    version: int = Field(ge=1, le=2**31 - 1, description="The version to make live")
    pin: bool = Field(default=False, description="Never roll it back automatically")
    note: ExactText = Field("", max_length=1000, description="The reason, stored with the action")


class RollbackBody(Body):
    """A rollback to the version that was live before."""

    note: ExactText = Field("", max_length=1000, description="The reason, stored with the action")


class PromptAnswer(Answer):
    """One immutable prompt version."""

    agent: Agent = Field(description="The agent")
    version: int = Field(description="The version, from 1")
    text: str = Field(description="Literal text, never a template")
    parent: int | None = Field(description="The version that it was derived from")
    author: str = Field(description="Who wrote it")
    note: str = Field(description="Why it was written")
    sha256: str = Field(description="The text's hash")
    created_at: datetime = Field(description="When it was stored")


class ReleaseAnswer(Answer):
    """An entry of the release log."""

    id: int = Field(description="The release")
    agent: Agent = Field(description="The agent whose prompt was released")
    previous_release_id: int | None = Field(description="The release before it")
    action: Action = Field(description="The kind of release")
    version: int = Field(description="The version that this release made live")
    actor: str = Field(description="Who did it")
    note: str = Field(description="Why: an operator's note, or the optimizer's reason as text")
    created_at: datetime = Field(description="When")
    healing_id: UUID | None = Field(
        description="The healing that made the release, null if none did"
    )
    base_version: int | None = Field(description="For a canary: the version of the other threads")
    percent: int = Field(description="The share of threads that get the version, in percent")
    pinned: bool = Field(description="Whether it is never rolled back automatically")
    coded_reason: Reason | None = Field(
        None,
        validation_alias="reason",
        description="The optimizer's reason as a code with figures; null for an operator's release",
    )

    @model_validator(mode="after")
    def _say_why(self) -> "ReleaseAnswer":
        """Give the optimizer's reason as text where no operator wrote a note."""
        self.note = self.note or sentence(self.coded_reason)
        return self


class DiffAnswer(Answer):
    """What changed between two versions."""

    agent: Agent = Field(description="The agent")
    from_version: int = Field(description="The older version")
    to_version: int = Field(description="The newer version")
    diff: str = Field(description="A unified diff, empty if the texts are the same")
