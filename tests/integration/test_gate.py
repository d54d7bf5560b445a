"""The gate's node, with trials whose results the test decides: stages, slices, tokens, receipts."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import pytest

from bench.harness.healing import KNOWN, HealingHarness, defect, open_healing_harness
from selfheal.db.pool import Database
from selfheal.db.reasons import because
from selfheal.optimizer.dataset.split import hash_share
from selfheal.optimizer.evaluation import trials
from selfheal.optimizer.evaluation.run_case import CaseResult
from selfheal.optimizer.nodes import gate as gate_node
from selfheal.optimizer.policy import sequential_test
from selfheal.optimizer.receipt import build
from selfheal.optimizer.receipt.markdown import as_markdown
from selfheal.optimizer.receipt.schema import receipt_of
from selfheal.optimizer.receipt.stored import read
from selfheal.optimizer.receipt.verify import verify
from selfheal.optimizer.records.cases import Case
from selfheal.optimizer.state import Result

pytestmark = pytest.mark.usefixtures("repeatable")

Outcome = Callable[[Case, bool], tuple[bool, int]]


@pytest.fixture
async def harness(database: Database, gemini: str) -> AsyncIterator[HealingHarness]:
    async with open_healing_harness(database) as opened:
        yield opened


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch, harness: HealingHarness) -> Any:
    """Decide whether a case passes, and its tokens, by the case and whether a version is tried."""

    async def script(outcome: Outcome) -> None:
        old = {each.text for each in await harness.versions()}

        async def run_case(_: Any, case: Case, __: Any, text: str, ___: Any) -> CaseResult:
            passed, tokens = outcome(case, text in old)
            kind = "ok" if passed else "failed"
            return CaseResult(kind, passed, float(passed), executed=True, tokens=tokens)

        monkeypatch.setattr(trials, "run_case", run_case)

    return script


async def disagreeing(harness: HealingHarness, result: Result) -> list[str]:
    async with harness.database.connection() as connection:
        stored = await read(connection, UUID(result["healing_id"]))
    found = verify(receipt_of(stored.healing), stored)
    return [each.what for each in found if not each.agrees]


def every_fourth(case: Case, old: bool) -> tuple[bool, int]:
    """Fail a fourth of the cases under an old prompt, so that a few cases prove nothing."""
    return not old or hash_share(case["id"]) > 0.25, 100


async def test_a_promising_candidate_gets_more_cases(
    harness: HealingHarness, outcomes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequential_test, "FIRST_CASES", 20)
    await harness.run(*KNOWN[:2])
    await outcomes(every_fourth)
    result = await harness.heal(forced=True, agent="worker")
    gate = (await harness.receipt(result))["gates"][0]
    assert gate["affordable"] > gate["cases_run"] > 20
    assert (gate["needed"], gate["most_cases"], gate["detectable"] > 0.1) == (300, 200, True)
    assert await disagreeing(harness, result) == []
    shown = as_markdown(await harness.receipt(result))
    assert "would be found with 80 % probability" in shown
    assert "accepted at 300" in shown
    await harness.execute(
        "UPDATE healings SET receipt = jsonb_set(receipt, '{gates,0,affordable}', 'null')"
    )
    assert "gate of candidate 1: second stage left out" in await disagreeing(harness, result)


async def test_one_gets_no_more_cases_than_the_budget_covers(
    harness: HealingHarness, outcomes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequential_test, "FIRST_CASES", 20)

    async def nearly_spent(*_: Any) -> int:
        return 30

    monkeypatch.setattr(harness.context.budget, "remaining", nearly_spent)
    await harness.run(*KNOWN[:2])
    await outcomes(every_fourth)
    result = await harness.heal(forced=True, agent="worker")
    gate = (await harness.receipt(result))["gates"][0]
    unaffordable = because("more_cases_unaffordable", affordable=gate["affordable"])
    assert (gate["stopped"], gate["affordable"] <= 20) == (unaffordable, True)
    assert gate["cases_run"] <= 20
    assert await disagreeing(harness, result) == []


async def test_a_lost_slice_waits_for_approval_and_is_named(
    harness: HealingHarness, outcomes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kind(case: Case) -> str:
        return "dates" if (share := hash_share(f"{case['id']}?")) < 0.2 else f"kind{share:.1f}"

    for module in (gate_node, build):
        monkeypatch.setattr(module, "slice_of", kind)
    await harness.run(*KNOWN[:2])
    await outcomes(lambda case, old: ((kind(case) == "dates") == old, 100))
    result = await harness.heal(forced=True, agent="worker")
    receipt = await harness.receipt(result)
    assert (result["outcome"], receipt["gates"][-1]["reason"]) == (
        "needs_approval",
        because("slices_lost", slices=["dates"]),
    )
    assert await disagreeing(harness, result) == []
    assert "- kind `dates`: 0 gains, " in as_markdown(receipt)
    await harness.execute(
        "UPDATE healings SET receipt ="
        " jsonb_set(receipt, '{gates,-1,slices,0,finding}', to_jsonb('kept'::text))"
    )
    assert [each.partition(": ")[2] for each in await disagreeing(harness, result)] == ["slices"]


@pytest.mark.parametrize(("tokens", "outcome"), [(200, "needs_approval"), (110, "promoted")])
async def test_a_repair_that_doubles_the_tokens_waits_for_approval(
    harness: HealingHarness, gemini: str, outcomes: Any, tokens: int, outcome: str
) -> None:
    """The incumbent passes nothing, so that the last good version's runs are the measure."""
    await harness.run(*KNOWN, *KNOWN)
    await harness.execute(
        "UPDATE runs SET usage = jsonb_set(usage, '{worker}',"
        """ '{"calls": 1, "input_tokens": 60, "output_tokens": 40}')"""
    )
    await harness.put_live_alone(await defect(gemini, "hello-world"))
    await harness.run(*KNOWN[:3])
    await outcomes(lambda _, old: (not old, tokens))
    result = await harness.heal(agent="worker")
    gate = (await harness.receipt(result))["gates"][-1]
    assert (result["outcome"], gate["tokens"]["ratio"]) == (outcome, tokens / 100)
    assert gate["tokens"]["against"] == "last_good"
    assert await disagreeing(harness, result) == []
    await harness.execute(
        "UPDATE healings SET receipt = jsonb_set(receipt, '{gates,-1,tokens,ratio}', '1.2')"
    )
    assert [each.partition(": ")[2] for each in await disagreeing(harness, result)] == ["tokens"]
