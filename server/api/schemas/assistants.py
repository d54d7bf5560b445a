"""Assistants, as LangGraph's API has them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from selfheal.server.api.schemas.base import (
    Answer,
    Body,
    BoundedObject,
    FieldNames,
    SortOrder,
    fields_of,
)
from selfheal.server.assistants import Assistant


class AssistantAnswer(Answer):
    """A graph that this server runs."""

    assistant_id: UUID = Field(description="The id; the name can be used instead")
    graph_id: str = Field(description="The name")
    name: str = Field(description="The name")
    description: str = Field(description="What it does")
    config: dict[str, Any] = Field(default_factory=dict, description="Empty")
    context: dict[str, Any] = Field(default_factory=dict, description="Empty")
    metadata: dict[str, Any] = Field(description="Who created it")
    version: int = Field(1, description="Always 1: prompts have versions here, graphs do not")
    created_at: datetime = Field(description="When it was created")
    updated_at: datetime = Field(description="The same as created_at")

    @classmethod
    def of(cls, assistant: Assistant) -> "AssistantAnswer":
        """Return an assistant as LangGraph's API has it."""
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
    """Selects assistants."""

    graph_id: str | None = Field(None, max_length=100, description="Only of this graph")
    name: str | None = Field(
        None, max_length=100, description="Only those whose name contains this"
    )
    metadata: BoundedObject | None = Field(
        None, description="Only those whose metadata contain this"
    )


class AssistantSearch(AssistantCount):
    """Selects and sorts assistants."""

    limit: int = Field(10, ge=1, le=1000, description="Maximum number to return")
    offset: int = Field(0, ge=0, le=2**31, description="Number to skip")
    sort_by: Literal["assistant_id", "graph_id", "name", "created_at", "updated_at"] | None = Field(
        None, description="The field to sort by; by default the order of langgraph.json"
    )
    sort_order: SortOrder | None = Field(None, description="desc by default, if sort_by is given")
    select: Annotated[FieldNames | None, AfterValidator(fields_of(AssistantAnswer))] = Field(
        None, description="Return only these fields"
    )


class AssistantVersions(Body):
    """Selects versions of an assistant, which always has one."""

    metadata: BoundedObject | None = Field(
        None, description="Only those whose metadata contain this"
    )
    limit: int = Field(10, ge=1, le=1000, description="Maximum number to return")
    offset: int = Field(0, ge=0, le=2**31, description="Number to skip")
