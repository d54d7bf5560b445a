"""Requests to the worker's and the evaluator's role, and the worker's answer."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from selfheal.db.encoding import clean
from selfheal.graph.evaluator import JudgePrompt, Work
from selfheal.graph.state import Plan, PlannedExample, State
from selfheal.server.api.schemas.base import Answer, Body
from selfheal.server.api.schemas.requests import ExampleBody, RequestBody, bounded_examples


class PlannedExampleBody(ExampleBody):
    """An example of a plan. A stated one can veto a pass, an inferred one affects the score."""

    origin: Literal["stated", "inferred"] = Field(
        "inferred", description="Whether the request states it or the manager inferred it"
    )

    def planned(self) -> PlannedExample:
        """Return the example as the rules take it."""
        return PlannedExample(**self.example(), origin=self.origin)


class PlanBody(Body):
    """A manager's plan."""

    title: str = Field("", max_length=2000, description="The task in a few words")
    requirements: list[Annotated[str, Field(max_length=2000)]] = Field(
        default_factory=list, max_length=100, description="Short, testable sentences"
    )
    signature: str = Field("", max_length=2000, description="The requested signature")
    examples: list[PlannedExampleBody] = Field(
        default_factory=list, max_length=100, description="Examples, stated and inferred"
    )

    @field_validator("examples", mode="before")
    @classmethod
    def _bounded(cls, value: Any) -> Any:
        return bounded_examples(value)


class JudgePromptBody(Body):
    """The judge's prompt."""

    version: int = Field(ge=1, description="Its version, for the caller's own log")
    text: str = Field(min_length=1, max_length=50_000, description="The literal prompt")

    def judge_prompt(self) -> JudgePrompt:
        """Return the prompt as the evaluator takes it."""
        return JudgePrompt(self.version, self.text)


class EvaluateBody(RequestBody):
    """A program to evaluate, and its request."""

    code: str = Field(max_length=1_000_000, description="The program")
    plan: PlanBody = Field(default_factory=PlanBody, description="The manager's plan")
    judge_prompt: JudgePromptBody | None = Field(
        None, description="The judge's prompt; by default the one that selfheal ships"
    )

    def work(self) -> Work:
        """Return what is evaluated, its texts storable in Postgres."""
        stated = [PlannedExample(**each.example(), origin="stated") for each in self.examples]
        calls = {each["call"].strip() for each in stated}
        planned = [each.planned() for each in self.plan.examples if each.call.strip() not in calls]
        plan = Plan(
            title=self.plan.title,
            requirements=self.plan.requirements,
            signature=self.plan.signature,
            examples=[*stated, *planned],
        )
        return Work(clean(self.request), clean(plan), self.code)


class ExecuteBody(RequestBody):
    """A request to write a program for."""

    plan: PlanBody | None = Field(None, description="The manager's plan")
    assignment_key: str | None = Field(
        None, max_length=200, description="The thread: it decides which version of a canary is used"
    )
    prompt_version: int | None = Field(
        None, ge=1, le=2**31 - 1, description="A prompt version to use instead of the live one"
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
    """The worker's program. What it cost is in the headers."""

    code: str = Field(description="The program")
    explanation: str = Field(description="The worker's explanation of it")
    prompt_version: int = Field(description="The prompt version that was used")
