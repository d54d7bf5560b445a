"""The judge: its newest check, its anchor, and its flag."""

from datetime import datetime

from pydantic import AliasChoices, Field

from selfheal.db.reasons import Reason
from selfheal.server.api.schemas.base import Answer, Body, ExactText
from selfheal.server.api.schemas.healings import ReasonText


class AgreementAnswer(Answer):
    """On how many golden verdicts the judge agreed."""

    agreed: int = Field(description="On how many it agreed")
    asked: int = Field(description="How many it answered")


class JudgeAnswer(Answer):
    """What is known of the judge under the live evaluator prompt."""

    model: str = Field(description="The judge's model, as configured")
    prompt_version: int = Field(description="The version of the evaluator's prompt")
    anchor: AgreementAnswer | None = Field(
        description="Its first sound checks, pooled: its reference; null before the first"
    )
    anchor_checks: int = Field(description="The number of these checks, at most 10")
    flagged: bool = Field(
        description="Whether its flag stands: healing is frozen, except of the evaluator's prompt"
    )
    flag: AgreementAnswer | None = Field(
        description="The check that raised the flag; null if none stands"
    )


class LiftBody(Body):
    """Lift the judge's flag."""

    reason: ExactText = Field(min_length=1, max_length=1000, description="The reason; stored")


class LiftAnswer(Answer):
    """A flag that was lifted."""

    model: str = Field(description="The judge's model")
    prompt_version: int = Field(description="The version of the evaluator's prompt")
    raised_at: datetime = Field(description="When the flag was raised")
    lifted_at: datetime = Field(description="When it was lifted")
    lifted_by: str = Field(description="Who lifted it")
    reason: ReasonText = Field(description="The reason, as text")
    coded_reason: Reason = Field(
        validation_alias=AliasChoices("reason"), description="The reason as a code with its figures"
    )
