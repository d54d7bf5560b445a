"""Runs, their verdicts, and what people say of them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from selfheal.db.runs import Outcome, Status
from selfheal.server.api.schemas.base import Answer, Body


class CheckAnswer(Answer):
    """One rule of fact."""

    name: str = Field(description="The rule")
    score: float = Field(description="From 0 to 1")
    weight: float = Field(description="Its share of the rule score; all shares sum to 1")
    detail: str = Field(description="What was seen, empty if all is well")


class ExecutionAnswer(Answer):
    """How the code ran."""

    backend: str = Field(description="The sandbox: bwrap, landlock, wasm, or static for none")
    status: str = Field(description="ok, error, timeout, memory, output, killed or not_run")
    detail: str = Field(description="What happened, in words")
    seconds: float = Field(description="How long it took")


class EvaluationAnswer(Answer):
    """The verdict."""

    score: float = Field(description="Rules and judge together, from 0 to 1")
    rule_score: float = Field(description="The rules of fact, from 0 to 1")
    llm_score: float | None = Field(description="The judge; null where facts decided without it")
    passed: bool = Field(description="Whether the code is good enough")
    checks: list[CheckAnswer] = Field(description="The rules, one by one")
    reasons: list[str] = Field(description="Facts that forbid a pass, then the judge's reasons")
    execution: ExecutionAnswer = Field(description="How the code ran")


class ResultAnswer(Answer):
    """A run that ended with a verdict."""

    run_id: UUID = Field(description="The run, as GET /runs/{run_id} shows it")
    code: str = Field(description="The program")
    explanation: str = Field(description="What the worker said of it")
    evaluation: EvaluationAnswer = Field(description="The verdict")
    prompt_versions: dict[str, int] = Field(description="The prompt version of each agent")


class RunFailure(Answer):
    """Why a run ended without a verdict."""

    error: str = Field(description="output, infrastructure, model, evaluation or request")
    message: str = Field(description="What went wrong, in words")


class FailedAnswer(Answer):
    """A run that ended without a verdict, as LangGraph's server answers it."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    run_id: UUID = Field(description="The run, as GET /runs/{run_id} shows it")
    error: RunFailure = Field(alias="__error__", description="What went wrong")


class FeedbackBody(Body):
    """What you think of a run: a score, or simply whether it was right."""

    score: float | None = Field(None, ge=0, le=1, description="From 0 (useless) to 1 (perfect)")
    passed: bool | None = Field(None, description="Instead: whether the code was right")
    comment: str = Field("", max_length=5000, description="Why")

    @model_validator(mode="after")
    def _one_of_both(self) -> "FeedbackBody":
        if (self.score is None) == (self.passed is None):
            raise ValueError("needs exactly one of 'score' and 'passed'")
        return self

    def as_score(self) -> float:
        """Return the score that either form means."""
        return self.score if self.score is not None else float(bool(self.passed))


class FeedbackAnswer(Answer):
    """Feedback as it was stored."""

    id: int = Field(description="The feedback")
    run_id: UUID = Field(description="The run that it is about")
    score: float = Field(description="From 0 to 1")
    comment: str = Field(description="Why")
    created_at: datetime = Field(description="When it was given")


class RunAnswer(Answer):
    """One run of the log."""

    id: UUID = Field(description="The run")
    thread_id: UUID = Field(description="The thread that it ran on")
    attempt: int = Field(description="How often a process began or resumed it")
    assistant: str = Field(description="The graph that ran")
    status: Status = Field(description="pending, running, success, error, timeout or interrupted")
    outcome: Outcome | None = Field(description="What it came to; null until it has ended")
    message: str = Field(description="What went wrong, if something did")
    request: str = Field(description="What was asked")
    examples: list[dict[str, str]] = Field(description="The stated examples")
    plan: dict[str, Any] | None = Field(description="What the manager made of it")
    code: str | None = Field(description="The program")
    explanation: str | None = Field(description="What the worker said of it")
    manager_version: int | None = Field(description="The manager's prompt version")
    worker_version: int | None = Field(description="The worker's prompt version")
    evaluator_version: int | None = Field(description="The evaluator's prompt version")
    model: str | None = Field(description="The model that answered, by its own word")
    model_calls: int = Field(description="Model calls that were answered")
    input_tokens: int = Field(description="Tokens read")
    output_tokens: int = Field(description="Tokens written")
    created_at: datetime = Field(description="When it was accepted")
    finished_at: datetime | None = Field(description="When its result was recorded")
    evaluation: EvaluationAnswer | None = Field(description="The verdict, if there is one")


class RunDetail(RunAnswer):
    """One run of the log with what people said of it."""

    feedback: list[FeedbackAnswer] = Field(default_factory=list, description="What people said")
    trace_url: str | None = Field(
        None, description="Where LangSmith shows its trace; null where runs are not traced"
    )
