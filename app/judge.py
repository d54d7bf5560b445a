"""The judge: a model's marks, and up to three opinions while one more could change the verdict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from pydantic import BaseModel, Field

from selfheal.app.errors import EvaluationError, RunError
from selfheal.app.llm.client import CALLS_AN_ANSWER, Answer, Model
from selfheal.app.llm.usage import Usage, total_usage

OPINIONS: Final = 3  # at most
NEAR: Final = 0.1  # a first score at least this far from the threshold settles the verdict
MOST_CALLS: Final = CALLS_AN_ANSWER * OPINIONS
_MOST_REASONS = 12
_LONGEST_REASON = 500


class Marks(BaseModel):
    """The judge's marks, each from 0.0 to 1.0, and its reasons."""

    correctness: float = Field(ge=0, le=1, description="Does what was asked, 0.0 to 1.0")
    completeness: float = Field(ge=0, le=1, description="Nothing is missing, 0.0 to 1.0")
    readability: float = Field(ge=0, le=1, description="Clear at first reading, 0.0 to 1.0")
    reasons: list[str] = Field(description="A short sentence for every mark below 0.9")

    @property
    def score(self) -> float:
        """The weighted mean of the marks, 0 to 1."""
        return 0.6 * self.correctness + 0.25 * self.completeness + 0.15 * self.readability


@dataclass(frozen=True, slots=True)
class Judgement:
    """The judge's decision.

    Attributes:
        score: the median of the opinions, 0 to 1.
        reasons: of the opinion nearest to the median.
        usage: of all calls.
    """

    score: float
    reasons: list[str]
    usage: Usage


async def judge(
    model: Model,
    system: str,
    human: str,
    total: Callable[[float], float],
    threshold: float,
) -> Judgement:
    """Get opinions until another one could not change the verdict, at most three.

    Args:
        model: the judge's model.
        system: the judge's prompt.
        human: the message about the program.
        total: returns the score that is compared with the threshold, from the judge's score.
        threshold: the score that passes, 0 to 1.

    Raises:
        EvaluationError: the judge gave no opinion, so there is no verdict.
    """
    answers = [await opinion(model, system, human)]
    while not settled([total(answer.content.score) for answer in answers], threshold):
        answers.append(await opinion(model, system, human))
    score = median(answer.content.score for answer in answers)
    nearest = min(answers, key=lambda answer: abs(answer.content.score - score))
    reasons = [text[:_LONGEST_REASON] for text in nearest.content.reasons[:_MOST_REASONS]]
    return Judgement(score, reasons, total_usage(answer.usage for answer in answers))


def settled(scores: Sequence[float], threshold: float) -> bool:
    """Return whether no further opinion is needed: the first is clear, or a majority is certain.

    Args:
        scores: of the opinions so far, 0 to 1.
        threshold: the score that passes.
    """
    if len(scores) == 1:
        return round(abs(scores[0] - threshold), 4) >= NEAR
    passing = sum(score >= threshold for score in scores)
    return max(passing, len(scores) - passing) > OPINIONS / 2


async def opinion(model: Model, system: str, human: str) -> Answer[Marks]:
    """Get one opinion of the judge, for at most `CALLS_AN_ANSWER` calls.

    Raises:
        EvaluationError: the judge could not answer.
    """
    try:
        return await model.fill(system, human, Marks, "evaluator")
    except RunError as error:
        message = f"the judge could not answer: {error}"
        raise EvaluationError(message, unusable=error.unusable) from error
