"""Golden verdicts: programs with a reference score, and the agreement of a judge with them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from selfheal.app.aio import gather_bounded
from selfheal.app.errors import EvaluationError
from selfheal.app.judge import Marks, opinion
from selfheal.app.llm.client import Model
from selfheal.app.tracing import traced
from selfheal.graph.evaluator import Work, judge_message
from selfheal.optimizer.dataset.cases import golden_rows
from selfheal.optimizer.policy.judge_drift import PARTS
from selfheal.optimizer.statistics import share_interval

TOLERANCE: Final = 0.2  # of the score, from 0 to 1


@dataclass(frozen=True, slots=True)
class GoldenVerdict:
    """A program with its request and plan, and the reference score, `mark`, from 0 to 1."""

    id: str
    kind: str
    work: Work
    mark: float


@dataclass(frozen=True, slots=True)
class Opinion:
    """The answer of a judge to a golden verdict.

    Attributes:
        golden: the golden verdict.
        score: the judge's score, from 0 to 1; None if it gave no usable answer.
        model: the name that the model reported; empty without an answer.
        error: why there is no answer.
    """

    golden: GoldenVerdict
    score: float | None
    model: str = ""
    error: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the score is within the tolerance of the reference."""
        return self.score is not None and abs(self.score - self.golden.mark) <= TOLERANCE


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement of a judge with golden verdicts.

    Attributes:
        asked: the golden verdicts that it answered.
        agreed: those on which it agrees.
        unanswered: those that it did not answer; they are not counted in `asked`.
        bias: the mean of its score minus the reference, from -1 to 1.
    """

    asked: int
    agreed: int
    unanswered: int
    bias: float

    @property
    def share(self) -> float:
        """The share of the answered golden verdicts on which it agrees."""
        return self.agreed / self.asked if self.asked else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The exact 95 % confidence interval of the share."""
        return share_interval(self.agreed, self.asked)


@cache
def golden_verdicts() -> tuple[GoldenVerdict, ...]:
    """Return the shipped golden verdicts."""
    return tuple(
        GoldenVerdict(
            id=row["id"],
            kind=row["kind"],
            work=Work(row["request"], row["plan"], row["code"]),
            mark=Marks(**row["marks"], reasons=[]).score,
        )
        for row in golden_rows("verdicts.jsonl")
    )


def part_of_verdict(verdict_id: str) -> int:
    """Return which third of the golden verdicts one is in, from 0; each third has all kinds.

    Raises:
        KeyError: there is no such golden verdict.
    """
    return _parts()[verdict_id]


@cache
def _parts() -> dict[str, int]:
    ordered = sorted(golden_verdicts(), key=lambda verdict: (verdict.kind, verdict.id))
    return {verdict.id: place % PARTS for place, verdict in enumerate(ordered)}


async def ask_judge(
    model: Model,
    prompt: str,
    verdicts: Sequence[GoldenVerdict],
    at_once: int,
    on_answer: Callable[[Opinion], None] = lambda _: None,
) -> list[Opinion]:
    """Ask a judge to score golden verdicts, without the results of checks.

    Args:
        model: the judge's model.
        prompt: the judge's prompt.
        verdicts: the golden verdicts to score.
        at_once: how many are asked concurrently.
        on_answer: called with each opinion as it arrives.

    Returns:
        The opinions, in the order of the verdicts.
    """

    async def one(golden: GoldenVerdict) -> Opinion:
        answer = await _ask_one(model, prompt, golden)
        on_answer(answer)
        return answer

    return await gather_bounded(at_once, one, verdicts)


def agreement(opinions: Sequence[Opinion]) -> Agreement:
    """Return the agreement of opinions with their golden verdicts."""
    answered = [
        (answer.score, answer.golden.mark) for answer in opinions if answer.score is not None
    ]
    errors = [score - mark for score, mark in answered]
    return Agreement(
        asked=len(answered),
        agreed=sum(answer.agrees for answer in opinions),
        unanswered=len(opinions) - len(answered),
        bias=sum(errors) / len(errors) if errors else 0.0,
    )


def first_error(opinions: Sequence[Opinion]) -> str:
    """Return the error of the first verdict without an answer; empty if all have one."""
    return next((answer.error for answer in opinions if answer.score is None), "")


async def _ask_one(model: Model, prompt: str, golden: GoldenVerdict) -> Opinion:
    work = golden.work
    inputs = {"request": work.request, "plan": work.plan, "code": work.code}
    metadata = {"golden_id": golden.id, "kind": golden.kind, "mark": golden.mark}
    with traced("golden verdict", "check", inputs, **metadata) as outputs:
        try:
            answer = await opinion(model, prompt, judge_message(work.request, work.plan, work.code))
        except EvaluationError as error:
            given = Opinion(golden, None, error=str(error))
        else:
            given = Opinion(golden, answer.content.score, answer.model)
        outputs.update(score=given.score, agrees=given.agrees, error=given.error)
    return given


@contextmanager
def traced_check(judge: str, prompt_version: int) -> Iterator[dict[str, Any]]:
    """Trace the block as one check of a judge; the golden verdicts asked in it are its children.

    Yields:
        The outputs of the trace, to be updated.
    """
    inputs = {"judge": judge, "prompt_version": prompt_version}
    with traced("judge check", "check", inputs, **inputs) as outputs:
        yield outputs
