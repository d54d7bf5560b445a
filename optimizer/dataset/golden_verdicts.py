"""Golden verdicts: programs with the mark of a sound judge, and how a judge does on them."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from selfheal.app.aio import gather_bounded
from selfheal.app.errors import EvaluationError
from selfheal.app.judge import Marks, opinion
from selfheal.app.llm.client import Model
from selfheal.app.tracing import traced
from selfheal.graph.evaluator import Work, judge_message
from selfheal.optimizer.statistics import share_interval

TOLERANCE: Final = 0.2


@dataclass(frozen=True, slots=True)
class GoldenVerdict:
    """A program, what it was asked to be, and the judge's score that it deserves, 0 to 1."""

    id: str
    kind: str
    work: Work
    mark: float


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a judge made of a golden verdict; without an answer `score` is None, and `error` why.

    `model` is what the model calls itself, empty without an answer.
    """

    golden: GoldenVerdict
    score: float | None
    model: str = ""
    error: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it is near enough to the mark."""
        return self.score is not None and abs(self.score - self.golden.mark) <= TOLERANCE


@dataclass(frozen=True, slots=True)
class Agreement:
    """On how many golden verdicts a judge agrees, and by how much it is too kind on average."""

    asked: int
    agreed: int
    unanswered: int
    kindness: float

    @property
    def share(self) -> float:
        """The share that it agrees on, of those that it answered."""
        return self.agreed / self.asked if self.asked else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The exact 95 % interval of the share."""
        return share_interval(self.agreed, self.asked)


@cache
def golden_verdicts() -> tuple[GoldenVerdict, ...]:
    """Return the golden verdicts that the project comes with."""
    lines = (files("selfheal.optimizer.dataset") / "golden" / "verdicts.jsonl").read_text(
        encoding="utf-8"
    )
    return tuple(
        GoldenVerdict(
            id=each["id"],
            kind=each["kind"],
            work=Work(each["request"], each["plan"], each["code"]),
            mark=Marks(**each["marks"], reasons=[]).score,
        )
        for each in map(json.loads, lines.splitlines())
    )


async def ask(
    model: Model,
    prompt: str,
    verdicts: Sequence[GoldenVerdict],
    at_once: int,
    told: Callable[[Opinion], None] = lambda _: None,
) -> list[Opinion]:
    """Ask a judge for its opinion of each, a few at once; facts are left out of it."""

    async def one(golden: GoldenVerdict) -> Opinion:
        seen = await _ask_one(model, prompt, golden)
        told(seen)
        return seen

    return await gather_bounded(at_once, one, verdicts)


def agreement(opinions: Sequence[Opinion]) -> Agreement:
    """Sum up opinions; what was not answered counts for nothing."""
    given = [(each.score, each.golden.mark) for each in opinions if each.score is not None]
    kindness = sum(score - mark for score, mark in given) / len(given) if given else 0.0
    return Agreement(
        asked=len(given),
        agreed=sum(each.agrees for each in opinions),
        unanswered=len(opinions) - len(given),
        kindness=kindness,
    )


def first_error(opinions: Sequence[Opinion]) -> str:
    """Return why the first verdict without an answer has none; empty if all have one."""
    return next((each.error for each in opinions if each.score is None), "")


async def _ask_one(model: Model, prompt: str, golden: GoldenVerdict) -> Opinion:
    work = golden.work
    inputs = {"request": work.request, "plan": work.plan, "code": work.code}
    facts = {"golden_id": golden.id, "kind": golden.kind, "mark": golden.mark}
    with traced("golden verdict", "check", inputs, **facts) as told:
        try:
            answer = await opinion(model, prompt, judge_message(work.request, work.plan, work.code))
        except EvaluationError as error:
            seen = Opinion(golden, None, error=str(error))
        else:
            seen = Opinion(golden, answer.content.score, answer.model)
        told.update(score=seen.score, agrees=seen.agrees, error=seen.error)
    return seen


@contextmanager
def judge_check(judge: str, prompt_version: int) -> Iterator[dict[str, Any]]:
    """Trace what happens inside as one check of a judge, with a trace for each verdict below it.

    Yields:
        A dict for what was found.
    """
    inputs = {"judge": judge, "prompt_version": prompt_version}
    with traced("judge check", "check", inputs, **inputs) as found:
        yield found
