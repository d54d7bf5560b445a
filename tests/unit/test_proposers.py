"""What a proposer is given and gives, without a model or a database."""

import asyncio
import json
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import FrozenInstanceError, dataclass, field, fields
from typing import Any

import pytest

from selfheal.optimizer.instructions import load
from selfheal.optimizer.proposers.base import Brief, Draft, Proposer, Rejected, Tried
from selfheal.optimizer.proposers.gepa import METRIC_CALLS, MINIBATCH, MOST_CASES, Gepa, evolve
from selfheal.optimizer.proposers.registry import chosen
from selfheal.optimizer.proposers.writer import MANNERS, Writer
from selfheal.optimizer.settings import ProposerName
from selfheal.optimizer.state import Case, Evidence, Findings


@dataclass
class Bench:
    """Means whose world is simple: each good word in a text is worth a quarter on every case."""

    width: int = 2
    left: int = 1000
    writes: str = "{old} good"
    fails: Exception | None = None
    asked: list[str] = field(default_factory=list)
    tries: list[tuple[str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def tried(self, text: str, case: Case) -> Tried:
        self.tries.append((text, case["id"]))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        score = min(text.split().count("good") / 4, 1.0)
        return Tried(score > 0.6, score, evidence(case["id"]))

    async def diagnosed(self, text: str, evidence: Sequence[Evidence]) -> Findings:
        said = f"{len(evidence)} show that '{text}' lacks something"
        return Findings(patterns=[], root_causes=[said], blame="worker", suggestions=[])

    async def fill(self, system: str, human: str, shape: type[Any]) -> Any:
        assert system == load("write")
        self.asked.append(human)
        if self.fails:
            raise self.fails
        return shape(prompt=self.writes.format(old=_fenced(human)), rationale="so it is")

    async def affordable(self) -> int:
        return self.left


def _fenced(human: str) -> str:
    """Return what stands in the first fence of a message."""
    lines = human.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("<data"))
    end = next(at for at, line in enumerate(lines) if line.startswith("</data"))
    return "\n".join(lines[start + 1 : end])


def evidence(run_id: str) -> Evidence:
    return Evidence(
        run_id=run_id,
        request="r",
        plan=None,
        code="",
        outcome="failed",
        checks=[],
        judge=None,
        reasons=[],
    )


def brief(means: Bench, cases: int = 4, rejected: Sequence[Rejected] = ()) -> Brief:
    return Brief(
        agent="worker",
        incumbent="Write.",
        findings=Findings(
            patterns=[], root_causes=["It is short."], blame="worker", suggestions=["Say more."]
        ),
        rejected=rejected,
        cases=[
            Case(id=f"run:{number}", source="production", request=f"r{number}", examples=[])
            for number in range(cases)
        ],
        evidence=[evidence("1")],
        round=1,
        means=means,
    )


@pytest.mark.parametrize("name", ["writer", "gepa"])
async def test_every_proposer_answers_a_brief_with_drafts(name: ProposerName) -> None:
    proposer: Proposer = chosen(name)
    drafts = await proposer.propose(brief(Bench()))
    assert drafts
    assert all(isinstance(each, Draft) and each.prompt and each.rationale for each in drafts)


def test_a_brief_has_no_word_of_the_proof_and_cannot_be_changed() -> None:
    names = {each.name for each in fields(Brief)}
    assert names == {
        "agent",
        "incumbent",
        "findings",
        "rejected",
        "cases",
        "evidence",
        "round",
        "means",
    }
    with pytest.raises(FrozenInstanceError):
        brief(Bench()).round = 2  # type: ignore[misc]


async def test_the_writer_asks_in_both_manners_and_tries_nothing() -> None:
    means = Bench()
    rejected = Rejected(prompt="Old.", reason="it has an address")
    drafts = await Writer().propose(brief(means, rejected=[rejected]))
    assert (len(drafts), means.tries) == (2, [])
    for manner, asked in zip(MANNERS, means.asked, strict=True):
        assert f"This is the worker's prompt. {manner}" in asked
        assert json.dumps(["It is short.", "Say more."], indent=1) in asked
        assert json.dumps([rejected], indent=1) in asked
    await Writer().propose(brief(means))
    assert "rejected" not in means.asked[-1]


async def test_gepa_climbs_by_our_diagnosis_and_our_writer() -> None:
    means = Bench()
    (draft,) = await Gepa().propose(brief(means))
    assert draft.prompt.split().count("good") >= 2
    assert draft.rationale.startswith("so it is (GEPA: mean score 0.00 before, ")
    first, second = means.asked[:2]
    assert MANNERS[0] in first
    assert MANNERS[1] in second
    assert "3 show that 'Write.' lacks something" in first
    assert "Write. good" in second
    assert means.most_at_once == means.width


async def test_gepa_proposes_nothing_where_nothing_helped() -> None:
    means = Bench(writes="{old} bad")
    assert await Gepa().propose(brief(means)) == []
    assert await Gepa().propose(brief(Bench(), cases=0)) == []
    means = Bench(writes="{old}")
    assert await Gepa().propose(brief(means)) == []
    assert {text for text, _ in means.tries} == {"Write."}


@pytest.mark.parametrize(("left", "cases"), [(1000, 4), (1000, 50), (40, 4), (0, 1)])
async def test_gepa_stops_at_its_bound(left: int, cases: int) -> None:
    means = Bench(left=left)
    await Gepa().propose(brief(means, cases))
    size = min(cases, MOST_CASES["worker"])
    one_step = size + 2 * min(MINIBATCH, size)
    bound = max(min(METRIC_CALLS["worker"], left // 2), one_step)
    assert size <= len(means.tries) < bound + one_step
    assert len({case for _, case in means.tries}) == size


async def test_a_fault_ends_it_and_comes_out_as_it_was() -> None:
    means = Bench(fails=RuntimeError("spent"))
    with pytest.raises(RuntimeError, match="spent"):
        await Gepa().propose(brief(means))
    assert len(means.asked) == 1, "GEPA itself would ask again"


async def test_ranked_by_other_cases_it_trains_on_its_own() -> None:
    means = Bench()
    given = brief(means, 6)
    found = await evolve(given, given.cases[:2], given.cases[2:], metric_calls=20)
    assert (found.improved, found.seed_score) == (True, 0)
    assert found.metric_calls == len(means.tries)
    assert len(found.text.split()) > 1
    assert found.candidates > 1


@dataclass
class Slow(Bench):
    """Means whose trials take long, and take their time to settle what they cost."""

    settled: int = 0

    async def tried(self, text: str, case: Case) -> Tried:
        self.tries.append((text, case["id"]))
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.05)
            self.settled += 1
        return Tried(False, 0.0, evidence(case["id"]))


@pytest.mark.parametrize("again", [False, True])
async def test_cancelled_it_ends_before_it_returns(again: bool) -> None:
    means = Slow()
    search = asyncio.create_task(Gepa().propose(brief(means)))
    while len(means.tries) < means.width:
        await asyncio.sleep(0.001)
    search.cancel()
    await asyncio.sleep(0.01)
    if again:
        search.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await search
    assert (means.settled, len(means.tries)) == (means.width, means.width)
    assert not [each for each in threading.enumerate() if inside(each, "_search")]


def inside(thread: threading.Thread, function: str) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and function in {each.name for each in traceback.extract_stack(frame)}
