"""GEPA as a proposer, in a real healing: the same gate, budget and receipt."""

import asyncio
import logging
import sys
import traceback
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from bench.harness.healing import KNOWN, HealingHarness, calls, defect, open_healing_harness, passed
from bench.harness.processes import finished, selfheal
from selfheal.db.pool import Database
from selfheal.db.reasons import because
from selfheal.db.settings import SettingsError
from selfheal.optimizer.policy import screening
from selfheal.optimizer.proposers import gepa
from selfheal.optimizer.proposers.base import CandidateText, ProposalRequest, ScoredCase
from selfheal.optimizer.proposers.toolkit import HealingToolkit
from selfheal.optimizer.receipt.markdown import as_markdown
from selfheal.optimizer.receipt.schema import receipt_of
from selfheal.optimizer.receipt.stored import read
from selfheal.optimizer.receipt.verify import verify
from selfheal.optimizer.records.cases import Case
from selfheal.optimizer.state import Result
from selfheal.server.settings import read_settings
from tests.conftest import control

Tries = list[tuple[str, str]]


@pytest.fixture
def evolving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_PROPOSER", "gepa")
    monkeypatch.setenv("SELFHEAL_ROLLOUT", "instant")


@pytest.fixture
async def harness(evolving: None, database: Database, gemini: str) -> AsyncIterator[HealingHarness]:
    async with open_healing_harness(database) as opened:
        yield opened


@pytest.fixture
async def sick(harness: HealingHarness, gemini: str) -> HealingHarness:
    await harness.put_live_alone(await defect(gemini, "hello-world"))
    assert not any(map(passed, await harness.run(*KNOWN)))
    return harness


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> Tries:
    """Record each text and case that a proposer tries."""
    seen: Tries = []
    real = HealingToolkit.score

    async def score(self: HealingToolkit, text: str, case: Case) -> ScoredCase:
        seen.append((text, case["id"]))
        return await real(self, text, case)

    monkeypatch.setattr(HealingToolkit, "score", score)
    return seen


async def replays(harness: HealingHarness, result: Result) -> None:
    async with harness.database.connection() as connection:
        stored = await read(connection, UUID(result["healing_id"]))
    receipt = receipt_of(stored.healing)
    found = verify(receipt, stored)
    assert [each for each in found if not each.agrees] == []
    ended = "last step"
    assert receipt["gave_up"] or ended in {each.what for each in found}


async def test_a_broken_worker_heals_through_the_same_gate(
    sick: HealingHarness, gemini: str, tries: Tries, capsys: pytest.CaptureFixture[str]
) -> None:
    before = await calls(gemini)
    result = await sick.heal()
    assert (result["outcome"], result["to_version"]) == ("promoted", 3)
    healing, receipt = await sick.healing(result), await sick.receipt(result)
    assert healing.calls_used == (await calls(gemini) - before).total()
    assert healing.calls_used == healing.calls_reserved <= sick.settings.heal_budget_calls
    winner = receipt["candidates"][receipt["gates"][-1]["ordinal"] - 1]
    assert (winner["origin"], winner["fate"]) == ("reduced", "accepted")
    tested = receipt["candidates"][receipt["edit_tests"][-1]["ordinal"] - 1]
    assert tested["origin"] == "gepa"
    assert "GEPA: mean score" in tested["rationale"]
    assert receipt["gates"][-1]["e_value"] >= 100
    assert "evolved by GEPA" in as_markdown(receipt)
    (spent,) = [each["calls"] for each in receipt["costs"] if each["state"] == "propose"]
    assert len(tries) <= spent <= healing.calls_used
    await replays(sick, result)
    assert sum(map(passed, await sick.run(*KNOWN))) >= 2
    assert capsys.readouterr().out == ""


async def test_it_tries_train_cases_alone(sick: HealingHarness, tries: Tries) -> None:
    split = (await sick.receipt(await sick.heal()))["split"]
    assert tries
    assert {case for _, case in tries} <= set(split["train"])
    assert not {case for _, case in tries} & {*split["hold_out"], *split["regression"]}


async def test_its_brief_holds_no_case_of_the_proof(
    sick: HealingHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    briefs: list[ProposalRequest] = []
    refused: list[str] = []

    async def propose(_: gepa.GepaProposer, brief: ProposalRequest) -> list[CandidateText]:
        briefs.append(brief)
        unknown = Case(id="golden:none", source="golden", request="r", examples=[])
        with pytest.raises(ValueError, match="not a case of this request"):
            await brief.toolkit.score("text", unknown)
        refused.append(unknown["id"])
        return []

    monkeypatch.setattr(gepa.GepaProposer, "propose", propose)
    result = await sick.heal()
    split = (await sick.receipt(result))["split"]
    assert [each.round for each in briefs] == [1, 2]
    assert len(refused) == 2
    for brief in briefs:
        shown = repr(brief)
        assert {case["id"] for case in brief.cases} <= set(split["train"])
        assert not [each for each in (*split["hold_out"], *split["regression"]) if each in shown]


async def test_nothing_better_is_an_honest_rejection(
    sick: HealingHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def write(brief: ProposalRequest, _: str) -> CandidateText:
        return CandidateText(prompt=f"{brief.incumbent} Really.", rationale="as the test says")

    monkeypatch.setattr(gepa, "write", write)
    result = await sick.heal()
    assert result["outcome"] == "rejected"
    healing, receipt = await sick.healing(result), await sick.receipt(result)
    assert healing.reason == because("no_candidate_passed_screening")
    assert [each["origin"] for each in receipt["candidates"]] == ["predecessor"]
    assert (receipt["rounds"], receipt["gave_up"]) == (2, False)
    assert (await sick.live()).version == 2
    await replays(sick, result)


async def test_after_a_revert_that_fell_nothing_better_replays(
    harness: HealingHarness, gemini: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round without a candidate follows one whose candidate failed the screening."""

    async def propose(*_: Any) -> list[CandidateText]:
        return []

    monkeypatch.setattr(gepa.GepaProposer, "propose", propose)
    await harness.put_live(await defect(gemini, "hello-world"))
    await harness.run(*KNOWN[:3])
    # Whatever runs, none is good enough: now, and when it is made again.
    monkeypatch.setattr(screening, "survivor", lambda *_: None)
    result = await harness.heal()
    receipt = await harness.receipt(result)
    assert [each["origin"] for each in receipt["candidates"]] == ["predecessor"]
    assert (result["outcome"], receipt["rounds"], len(receipt["screens"])) == ("rejected", 2, 1)
    await replays(harness, result)


@pytest.mark.parametrize("budget", [12, 45, 60])
async def test_the_budget_stops_it(
    evolving: None, database: Database, gemini: str, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    monkeypatch.setenv("SELFHEAL_HEAL_BUDGET_CALLS", str(budget))
    async with open_healing_harness(database) as harness:
        await harness.put_live(await defect(gemini, "hello-world"))
        await harness.run(*KNOWN[:3])
        before = await calls(gemini)
        result = await harness.heal()
        spent = (await calls(gemini) - before).total()
        healing = await harness.healing(result)
        assert spent == healing.calls_used <= budget
        assert "budget_exhausted" in repr(healing.reason)
        assert (await harness.live()).version == 2
        await replays(harness, result)
        await asyncio.sleep(0.5)
        assert (await calls(gemini) - before).total() == spent


async def test_a_writer_that_babbles_ends_it_at_once(sick: HealingHarness, gemini: str) -> None:
    """GEPA itself would take the error for a step without a candidate and make more calls."""
    await control(gemini, faults=[{"kind": "babble", "persona": "writer"}])
    before = await calls(gemini)
    result = await sick.heal()
    reason = (await sick.healing(result)).reason
    assert reason is not None
    assert reason["code"] == "model_failed"
    assert (await calls(gemini) - before)["writer"] == 2


@pytest.mark.chaos
async def test_a_cancelled_pass_spends_nothing_more(
    sick: HealingHarness, gemini: str, tries: Tries, caplog: pytest.LogCaptureFixture
) -> None:
    await control(gemini, faults=[{"kind": "slow", "persona": "worker", "seconds": 0.3}])
    for until in (1, 5, 9):
        tries.clear()
        healing = asyncio.create_task(sick.heal(forced=True))
        while len(tries) < until:
            await asyncio.sleep(0.01)
        assert searching()
        healing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await healing
        spent, score = await calls(gemini), len(tries)
        assert not searching()
        await asyncio.sleep(1)
        assert (await calls(gemini), len(tries)) == (spent, score)
        await sick.execute("UPDATE healings SET lease_until = now() WHERE closed_at IS NULL")
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


def searching() -> bool:
    """Tell whether a thread of this process is inside GEPA's loop."""
    stacks = [traceback.extract_stack(top) for top in sys._current_frames().values()]
    return any(frame.name == "_search" for stack in stacks for frame in stack)


@pytest.mark.chaos
async def test_a_broken_evaluator_heals_too(
    harness: HealingHarness, gemini: str, tries: Tries
) -> None:
    await harness.put_live(await defect(gemini, "harsh-evaluator"), "evaluator")
    await harness.run()
    result = await harness.heal()
    assert (result["agent"], result["outcome"]) == ("evaluator", "promoted")
    assert {case.partition(":")[0] for _, case in tries} == {"verdict"}
    await replays(harness, result)


@pytest.mark.chaos
async def test_a_broken_manager_heals_too(harness: HealingHarness, gemini: str) -> None:
    await harness.put_live(await defect(gemini, "renaming-manager"), "manager")
    await harness.run()
    result = await harness.heal()
    assert (result["agent"], result["outcome"]) == ("manager", "promoted")
    await replays(harness, result)


@pytest.mark.chaos
async def test_its_loop_can_be_run_with_cases_to_validate_on(
    sick: HealingHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a benchmark does."""
    found: list[gepa.SearchResult] = []

    async def propose(_: gepa.GepaProposer, brief: ProposalRequest) -> list[CandidateText]:
        train, validation = brief.cases[:1], brief.cases[-1:]
        found.append(await gepa.search_prompts(brief, train, validation, metric_calls=6))
        return []

    monkeypatch.setattr(gepa.GepaProposer, "propose", propose)
    await sick.heal()
    first = found[0]
    assert first.metric_calls >= 3
    assert 0 <= first.seed_score <= first.score <= 1
    assert first.improved == (first.score > first.seed_score)


async def test_without_the_package_it_says_so(
    evolving: None,
    database: Database,
    gemini: str,
    service_env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    with monkeypatch.context() as blocked:
        blocked.setitem(sys.modules, "gepa", None)
        with pytest.raises(SettingsError) as error:
            await open_healing_harness(database).__aenter__()
    assert "SELFHEAL_PROPOSER: gepa is not installed" in str(error.value)
    assert "pip install 'selfheal[gepa]'" in str(error.value)
    (tmp_path / "gepa.py").write_text("raise ImportError('blocked by the test')")
    env = {**service_env, "SELFHEAL_PROPOSER": "gepa", "PYTHONPATH": str(tmp_path)}
    code, out, _ = await finished(*selfheal("doctor"), env=env)
    assert code == 1
    assert "MISSING  proposer: gepa is not installed → pip install 'selfheal[gepa]'" in out
    code, _, err = await finished(*selfheal("optimize"), env=env)
    assert code == 2
    assert "pip install 'selfheal[gepa]'" in err


def test_a_wrong_name_is_refused_at_start_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_PROPOSER", "guess")
    with pytest.raises(SettingsError, match="SELFHEAL_PROPOSER: must be writer or gepa"):
        read_settings()
