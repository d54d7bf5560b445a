"""Runs, their evaluations, and feedback on them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from selfheal.db.run_requests import Multitask
from selfheal.db.runs import Outcome, Run, Status
from selfheal.db.types import Agent
from selfheal.server.api.schemas.base import Answer, Body
from selfheal.server.serialization import run_document


class RunWire(Answer):  # type: ignore[no-redef]  # pydantic's plugin does not allow `kwargs`
    """A run, as LangGraph's API has it. GET /runs/{run_id} returns more."""

    run_id: UUID = Field(description="The run")
    thread_id: UUID = Field(description="Its thread")
    assistant_id: UUID = Field(description="The graph that it runs")
    created_at: datetime = Field(description="When it was accepted")
    updated_at: datetime = Field(description="When it was last changed")
    status: Status = Field(description="pending, running, success, error, timeout, interrupted")
    metadata: dict[str, Any] = Field(description="Arbitrary metadata of the client")
    kwargs: dict[str, Any] = Field(description="The input and the options of the run")
    multitask_strategy: Multitask = Field(
        description="What happens if its thread has an unfinished run"
    )
    langsmith_session_name: None = Field(
        None, description="Always null: the project is set by LANGSMITH_PROJECT"
    )

    @classmethod
    def of(cls, run: Run) -> "RunWire":
        """Return a run as LangGraph's API has it."""
        return cls.model_validate(run_document(run))


class CheckAnswer(Answer):
    """A rule's result."""

    name: str = Field(description="The rule")
    score: float = Field(description="From 0 to 1")
    weight: float = Field(description="Its weight in the rule score; all weights sum to 1")
    detail: str = Field(description="What was found, empty if the rule is met")


class ExecutionAnswer(Answer):
    """How the code ran."""

    backend: str = Field(description="The sandbox: bwrap, landlock, wasm, or static for none")
    status: str = Field(description="ok, error, timeout, memory, output, killed or not_run")
    detail: str = Field(description="What happened")
    seconds: float = Field(description="Duration in seconds")


class EvaluationAnswer(Answer):
    """The verdict."""

    score: float = Field(description="Rules and judge combined, from 0 to 1")
    rule_score: float = Field(description="The rules alone, from 0 to 1")
    llm_score: float | None = Field(
        description="The judge alone; null if a veto rule decided without it"
    )
    passed: bool = Field(description="Whether the code passes")
    checks: list[CheckAnswer] = Field(description="The results of the rules")
    reasons: list[str] = Field(description="Rules that veto a pass, then the judge's reasons")
    execution: ExecutionAnswer = Field(description="How the code ran")


class ResultAnswer(Answer):
    """A run that ended with a verdict."""

    run_id: UUID = Field(description="The run; see GET /runs/{run_id}")
    code: str = Field(description="The program")
    explanation: str = Field(description="The worker's explanation of it")
    evaluation: EvaluationAnswer = Field(description="The verdict")
    prompt_versions: dict[str, int] = Field(description="The prompt version of each agent")


class RunFailure(Answer):
    """Why a run ended without a verdict."""

    error: str = Field(description="output, infrastructure, model, evaluation or request")
    message: str = Field(description="What went wrong")


class FailedAnswer(Answer):
    """A run that ended without a verdict, as LangGraph's server answers it."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    run_id: UUID = Field(description="The run; see GET /runs/{run_id}")
    error: RunFailure = Field(alias="__error__", description="What went wrong")


class FeedbackBody(Body):
    """Feedback on a run: a score, or whether the code is correct."""

    score: float | None = Field(None, ge=0, le=1, description="From 0 (useless) to 1 (perfect)")
    passed: bool | None = Field(None, description="Instead of a score: whether the code is correct")
    comment: str = Field("", max_length=5000, description="A comment, such as the reason")

    @model_validator(mode="after")
    def _one_of_both(self) -> "FeedbackBody":
        if (self.score is None) == (self.passed is None):
            raise ValueError("needs exactly one of 'score' and 'passed'")
        return self

    def as_score(self) -> float:
        """Return the score of either form."""
        return self.score if self.score is not None else float(bool(self.passed))


class FeedbackAnswer(Answer):
    """Stored feedback."""

    id: int = Field(description="The feedback")
    run_id: UUID = Field(description="The run")
    score: float = Field(description="From 0 to 1")
    comment: str = Field(description="The comment")
    created_at: datetime = Field(description="When it was given")


class RunAnswer(Answer):
    """A logged run."""

    id: UUID = Field(description="The run")
    thread_id: UUID = Field(description="Its thread")
    attempt: int = Field(description="How often a process has started or resumed it")
    assistant: str = Field(description="The graph that ran")
    status: Status = Field(description="pending, running, success, error, timeout or interrupted")
    outcome: Outcome | None = Field(description="How it ended; null until then")
    message: str = Field(description="What went wrong, empty if nothing did")
    unusable: Agent | None = Field(
        description="The agent whose model answered in a form that cannot be used; null if none"
    )
    request: str = Field(description="The request")
    examples: list[dict[str, str]] = Field(description="The stated examples")
    plan: dict[str, Any] | None = Field(description="The manager's plan")
    code: str | None = Field(description="The program")
    explanation: str | None = Field(description="The worker's explanation of it")
    manager_version: int | None = Field(description="The manager's prompt version")
    worker_version: int | None = Field(description="The worker's prompt version")
    evaluator_version: int | None = Field(description="The evaluator's prompt version")
    model: str | None = Field(description="The model, as named in its answers")
    model_calls: int = Field(description="Model calls that were answered")
    input_tokens: int = Field(description="Input tokens")
    output_tokens: int = Field(description="Output tokens")
    created_at: datetime = Field(description="When it was accepted")
    finished_at: datetime | None = Field(description="When its result was stored")
    evaluation: EvaluationAnswer | None = Field(description="The verdict, null if there is none")


class RunDetail(RunAnswer):
    """A logged run with the feedback on it."""

    feedback: list[FeedbackAnswer] = Field(default_factory=list, description="The feedback")
    trace_url: str | None = Field(
        None, description="URL of its trace in LangSmith; null if runs are not traced"
    )
