"""Proposers and their interface, without a model or a database."""

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
from selfheal.optimizer.proposers.base import (
    CandidateText,
    ProposalRequest,
    Proposer,
    RejectedCandidate,
    ScoredCase,
)
from selfheal.optimizer.proposers.gepa import (
    METRIC_CALLS,
    MINIBATCH,
    MOST_CASES,
    GepaProposer,
    search_prompts,
)
from selfheal.optimizer.proposers.registry import get_proposer
from selfheal.optimizer.proposers.writer import EDIT_STYLES, PromptWriter
from selfheal.optimizer.records.cases import Case
from selfheal.optimizer.records.diagnosis import Evidence, Findings
from selfheal.optimizer.settings import ProposerName


@dataclass
class Bench:
    """A toolkit that scores a text by its count of "good": a quarter for each, on every case."""

    concurrency: int = 2
    left: int = 1000
    writes: str = "{old} good"
    fails: Exception | None = None
    asked: list[str] = field(default_factory=list)
    tries: list[tuple[str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def score(self, text: str, case: Case) -> ScoredCase:
        self.tries.append((text, case["id"]))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        score = min(text.split().count("good") / 4, 1.0)
        return ScoredCase(score > 0.6, score, evidence(case["id"]))

    async def diagnose(self, text: str, evidence: Sequence[Evidence]) -> Findings:
        said = f"{len(evidence)} show that '{text}' lacks something"
        return Findings(patterns=[], root_causes=[said], blame="worker", suggestions=[], dropped=[])

    async def fill(self, system: str, human: str, shape: type[Any]) -> Any:
        assert system == load("write")
        self.asked.append(human)
        if self.fails:
            raise self.fails
        return shape(prompt=self.writes.format(old=_fenced(human)), rationale="so it is")

    async def affordable_trials(self) -> int:
        return self.left


def _fenced(human: str) -> str:
    """Return the content of the first fence of a message."""
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


def brief(
    toolkit: Bench, cases: int = 4, rejected: Sequence[RejectedCandidate] = ()
) -> ProposalRequest:
    return ProposalRequest(
        agent="worker",
        incumbent="Write.",
        findings=Findings(
            patterns=[],
            root_causes=["It is short."],
            blame="worker",
            suggestions=["Say more."],
            dropped=[],
        ),
        rejected=rejected,
        cases=[
            Case(id=f"run:{number}", source="production", request=f"r{number}", examples=[])
            for number in range(cases)
        ],
        evidence=[evidence("1")],
        round=1,
        toolkit=toolkit,
    )


@pytest.mark.parametrize("name", ["writer", "gepa"])
async def test_every_proposer_answers_a_brief_with_drafts(name: ProposerName) -> None:
    proposer: Proposer = get_proposer(name)
    drafts = await proposer.propose(brief(Bench()))
    assert drafts
    assert all(
        isinstance(each, CandidateText) and each.prompt and each.rationale for each in drafts
    )


def test_a_brief_has_no_word_of_the_proof_and_cannot_be_changed() -> None:
    names = {each.name for each in fields(ProposalRequest)}
    assert names == {
        "agent",
        "incumbent",
        "findings",
        "rejected",
        "cases",
        "evidence",
        "round",
        "toolkit",
    }
    with pytest.raises(FrozenInstanceError):
        brief(Bench()).round = 2  # type: ignore[misc]


async def test_the_writer_asks_in_both_manners_and_tries_nothing() -> None:
    toolkit = Bench()
    rejected = RejectedCandidate(prompt="Old.", reason="it has an address")
    drafts = await PromptWriter().propose(brief(toolkit, rejected=[rejected]))
    assert (len(drafts), toolkit.tries) == (2, [])
    for manner, asked in zip(EDIT_STYLES, toolkit.asked, strict=True):
        assert f"This is the worker's prompt. {manner}" in asked
        assert json.dumps(["It is short.", "Say more."], indent=1) in asked
        assert json.dumps([rejected], indent=1) in asked
    await PromptWriter().propose(brief(toolkit))
    assert "rejected" not in toolkit.asked[-1]


async def test_gepa_climbs_by_our_diagnosis_and_our_writer() -> None:
    toolkit = Bench()
    (draft,) = await GepaProposer().propose(brief(toolkit))
    assert draft.prompt.split().count("good") >= 2
    assert draft.rationale.startswith("so it is (GEPA: mean score 0.00 before, ")
    first, second = toolkit.asked[:2]
    assert EDIT_STYLES[0] in first
    assert EDIT_STYLES[1] in second
    assert "3 show that 'Write.' lacks something" in first
    assert "Write. good" in second
    assert toolkit.most_at_once == toolkit.concurrency


async def test_gepa_proposes_nothing_where_nothing_helped() -> None:
    toolkit = Bench(writes="{old} bad")
    assert await GepaProposer().propose(brief(toolkit)) == []
    assert await GepaProposer().propose(brief(Bench(), cases=0)) == []
    toolkit = Bench(writes="{old}")
    assert await GepaProposer().propose(brief(toolkit)) == []
    assert {text for text, _ in toolkit.tries} == {"Write."}


@pytest.mark.parametrize(("left", "cases"), [(1000, 4), (1000, 50), (40, 4), (0, 1)])
async def test_gepa_stops_at_its_bound(left: int, cases: int) -> None:
    toolkit = Bench(left=left)
    await GepaProposer().propose(brief(toolkit, cases))
    size = min(cases, MOST_CASES["worker"])
    one_step = size + 2 * min(MINIBATCH, size)
    bound = max(min(METRIC_CALLS["worker"], left // 2), one_step)
    assert size <= len(toolkit.tries) < bound + one_step
    assert len({case for _, case in toolkit.tries}) == size


async def test_a_fault_ends_it_and_comes_out_as_it_was() -> None:
    toolkit = Bench(fails=RuntimeError("spent"))
    with pytest.raises(RuntimeError, match="spent"):
        await GepaProposer().propose(brief(toolkit))
    assert len(toolkit.asked) == 1, "GEPA itself would ask again"


async def test_ranked_by_other_cases_it_trains_on_its_own() -> None:
    toolkit = Bench()
    given = brief(toolkit, 6)
    found = await search_prompts(given, given.cases[:2], given.cases[2:], metric_calls=20)
    assert (found.improved, found.seed_score) == (True, 0)
    assert found.metric_calls == len(toolkit.tries)
    assert len(found.text.split()) > 1
    assert found.candidates > 1


@dataclass
class Slow(Bench):
    """A toolkit whose trials, and their settlement, take long."""

    settled: int = 0

    async def score(self, text: str, case: Case) -> ScoredCase:
        self.tries.append((text, case["id"]))
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.05)
            self.settled += 1
        return ScoredCase(False, 0.0, evidence(case["id"]))


@pytest.mark.parametrize("again", [False, True])
async def test_cancelled_it_ends_before_it_returns(again: bool) -> None:
    toolkit = Slow()
    search = asyncio.create_task(GepaProposer().propose(brief(toolkit)))
    while len(toolkit.tries) < toolkit.concurrency:
        await asyncio.sleep(0.001)
    search.cancel()
    await asyncio.sleep(0.01)
    if again:
        search.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await search
    assert (toolkit.settled, len(toolkit.tries)) == (toolkit.concurrency, toolkit.concurrency)
    assert not [each for each in threading.enumerate() if inside(each, "_search")]


def inside(thread: threading.Thread, function: str) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and function in {each.name for each in traceback.extract_stack(frame)}
