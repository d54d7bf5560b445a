"""What the evaluator is asked to judge."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from selfheal.db.encoding import clean
from selfheal.graph.evaluator import JudgePrompt, Work
from selfheal.graph.state import Plan, PlannedExample
from selfheal.server.api.schemas.base import Body
from selfheal.server.api.schemas.requests import ExampleBody, RequestBody, not_too_much


class PlannedExampleBody(ExampleBody):
    """An example of a plan: a stated one decides, an inferred one only counts."""

    origin: Literal["stated", "inferred"] = Field(
        "inferred", description="Whether the request states it, or somebody inferred it"
    )

    def planned(self) -> PlannedExample:
        """Return the example as the rules take it."""
        return PlannedExample(**self.example(), origin=self.origin)


class PlanBody(Body):
    """What a manager made of the request."""

    title: str = Field("", max_length=2000, description="The task in a few words")
    requirements: list[Annotated[str, Field(max_length=2000)]] = Field(
        default_factory=list, max_length=100, description="Short, testable sentences"
    )
    signature: str = Field("", max_length=2000, description="The signature that was asked for")
    examples: list[PlannedExampleBody] = Field(
        default_factory=list, max_length=100, description="Examples, stated and inferred"
    )

    @field_validator("examples", mode="before")
    @classmethod
    def _short_together(cls, value: Any) -> Any:
        return not_too_much(value)


class JudgePromptBody(Body):
    """The judge's prompt."""

    version: int = Field(ge=1, description="Its version, for the caller's own record")
    text: str = Field(min_length=1, max_length=50_000, description="The prompt, word for word")

    def judge_prompt(self) -> JudgePrompt:
        """Return the prompt as the evaluator takes it."""
        return JudgePrompt(self.version, self.text)


class EvaluateBody(RequestBody):
    """A program, and what it was asked to be."""

    code: str = Field(max_length=1_000_000, description="The program")
    plan: PlanBody = Field(default_factory=PlanBody, description="What a manager made of it")
    judge_prompt: JudgePromptBody | None = Field(
        None, description="The judge's prompt; without it the one that selfheal comes with"
    )

    def work(self) -> Work:
        """Return what is judged, its texts such as Postgres can hold."""
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
