"""The judge, through the real client: when it is asked again, and what of its answers counts."""

from contextlib import aclosing
from typing import Any

import pytest

from bench.harness.scripted_model import ScriptedModel, said, serve_scripted_model
from selfheal.app.errors import EvaluationError
from selfheal.app.judge import Judgement, judge, settled
from selfheal.app.llm.client import Model
from selfheal.app.llm.usage import metered
from selfheal.graph.evaluator import judge_message
from selfheal.graph.scoring import Grading
from selfheal.graph.state import Plan

NAME = "google_genai:gemini-3.8-flash"
PLAN = Plan(title="t", requirements=[], signature="def f()", examples=[])
GRADING = Grading()


def marks(score: Any, *reasons: Any) -> dict[str, Any]:
    names = ("correctness", "completeness", "readability")
    return {**dict.fromkeys(names, score), "reasons": list(reasons)}


async def judged(
    monkeypatch: pytest.MonkeyPatch, *replies: Any, rule_score: float = 1.0
) -> tuple[Judgement, ScriptedModel]:
    monkeypatch.setenv("GOOGLE_API_KEY", "secret-key-of-this-test")
    pending = list(replies)
    async with serve_scripted_model(lambda _: pending.pop(0)) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        async with aclosing(Model((NAME,), timeout=10)) as model:
            judgement = await judge(
                model,
                "Judge.",
                judge_message("Write f.", PLAN, "def f(): ..."),
                lambda llm_score: GRADING.total(rule_score, llm_score),
                GRADING.pass_threshold,
            )
    return judgement, server


@pytest.mark.parametrize("score", [1.0, 0.51, 0.16, 0.0])
async def test_a_clear_opinion_is_enough(monkeypatch: pytest.MonkeyPatch, score: float) -> None:
    judgement, server = await judged(monkeypatch, marks(score, "r"))
    assert judgement.score == pytest.approx(score)
    assert judgement.reasons == ["r"]
    assert len(server.asked) == judgement.usage["calls"] == 1


@pytest.mark.parametrize(
    ("scores", "median"),
    [
        ((0.4, 0.9), 0.65),  # both pass: a third could not turn it
        ((0.3, 0.1), 0.2),
        ((0.4, 0.1, 0.9), 0.4),
        ((0.3, 0.9, 0.0), 0.3),
        ((0.3, 0.35, 0.2), 0.3),
    ],
)
async def test_near_the_threshold_the_median_counts(
    monkeypatch: pytest.MonkeyPatch, scores: tuple[float, ...], median: float
) -> None:
    judgement, server = await judged(monkeypatch, *map(marks, scores))
    assert judgement.score == pytest.approx(median)
    assert len(server.asked) == judgement.usage["calls"] == len(scores)
    assert judgement.usage["input_tokens"] == 11 * len(scores)


async def test_the_reasons_are_those_of_the_opinion_that_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judgement, _ = await judged(monkeypatch, marks(0.3, "a"), marks(0.9, "b"), marks(0.32, "c"))
    assert judgement.reasons == ["c"]


@pytest.mark.parametrize(
    "bad",
    [
        marks(1.01),
        marks(-0.1),
        marks("NaN"),
        marks(float("nan")),
        marks(float("inf")),
        marks(None),
        marks(1.0, 5),
        {"correctness": 1.0},
        "I'd say it is quite good.",
        (200, said('{"correctness": 1.0, "completeness": 1.0, "readability": 1.0, "rea', "STOP")),
        (
            200,
            said('{"correctness":1,"completeness":1,"readability":1,"reasons":[]}', "MAX_TOKENS"),
        ),
        (200, said("", "SAFETY")),
        (200, {"promptFeedback": {"blockReason": "SAFETY"}, "candidates": []}),
    ],
)
async def test_a_bad_answer_is_asked_for_once_more_and_then_there_is_no_verdict(
    monkeypatch: pytest.MonkeyPatch, bad: Any
) -> None:
    judgement, server = await judged(monkeypatch, bad, marks(1.0))
    assert (judgement.score, len(server.asked)) == (1.0, 2)
    with metered() as usage, pytest.raises(EvaluationError, match="the judge could not answer"):
        await judged(monkeypatch, bad, bad)
    assert usage["calls"] == 2
    with pytest.raises(EvaluationError):  # a second opinion is an opinion like the first
        await judged(monkeypatch, marks(0.4), bad, bad)


async def test_a_flood_of_reasons_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    judgement, _ = await judged(monkeypatch, marks(1.0, *["x" * 4_000] * 200))
    assert (len(judgement.reasons), len(judgement.reasons[0])) == (12, 500)


async def test_untrusted_text_stays_in_its_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    _, server = await judged(monkeypatch, marks(1.0))
    _, again = await judged(monkeypatch, marks(1.0))
    assert server.asked[0].text != again.asked[0].text  # the nonce is new
    assert server.asked[0].text.count("<data id=") == 3
    assert server.asked[0].system == "Judge."


def test_it_is_settled_when_one_more_could_not_turn_it() -> None:
    assert settled([0.7], 0.6)
    assert settled([0.5], 0.6)
    assert not settled([0.69], 0.6)
    assert not settled([0.51], 0.6)
    assert settled([0.6, 0.9], 0.6)
    assert not settled([0.59, 0.61], 0.6)
    assert settled([0.59, 0.61, 0.0], 0.6)
