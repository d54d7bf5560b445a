"""What the worker's role is asked to write, and what it answers."""

from pydantic import Field

from selfheal.db.encoding import clean
from selfheal.graph.state import PlannedExample, State
from selfheal.server.api.schemas.base import Answer
from selfheal.server.api.schemas.evaluate import PlanBody
from selfheal.server.api.schemas.requests import RequestBody


class ExecuteBody(RequestBody):
    """A request, and the plan that a manager made of it."""

    plan: PlanBody | None = Field(None, description="What a manager made of it")
    assignment_key: str | None = Field(
        None, max_length=200, description="The thread: it decides who gets a canary"
    )
    prompt_version: int | None = Field(
        None, ge=1, le=2**31 - 1, description="Not the live prompt but this; for roles only"
    )

    def state(self) -> State:
        """Return the state as the worker's node takes it."""
        given = self.input()
        state = State(
            request=given["request"],
            examples=given.get("examples", []),
            prompt_versions={},
            usage={},
        )
        if self.plan:
            planned: list[PlannedExample] = [each.planned() for each in self.plan.examples]
            state["plan"] = clean({**self.plan.model_dump(), "examples": planned})
        return state


class ExecuteAnswer(Answer):
    """What the worker wrote. What it cost is told in headers."""

    code: str = Field(description="The program")
    explanation: str = Field(description="What the worker said of it")
    prompt_version: int = Field(description="The prompt version that it was written under")
