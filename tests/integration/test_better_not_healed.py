"""A candidate that is better than a broken prompt, and still fails most cases, ends no healing."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from bench.harness.healing import KNOWN, HealingHarness, defect, open_healing_harness
from selfheal.app.errors import ModelUnavailableError
from selfheal.db.pool import Database
from selfheal.graph.prompts import first_prompts
from selfheal.optimizer.budget import BudgetSpentError
from selfheal.optimizer.policy import rollout_plan
from selfheal.optimizer.proposers import writer
from selfheal.optimizer.proposers.base import CandidateText
from selfheal.optimizer.receipt.markdown import as_markdown
from selfheal.optimizer.receipt.schema import receipt_of
from selfheal.optimizer.receipt.stored import read
from selfheal.optimizer.receipt.verify import verify
from selfheal.optimizer.state import Result
from tests.support.chaos import chaos_only

pytestmark = pytest.mark.usefixtures("repeatable")


@pytest.fixture
async def broken(
    database: Database, gemini: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[HealingHarness]:
    monkeypatch.setenv("SELFHEAL_HEAL_BUDGET_CALLS", "1000")
    async with open_healing_harness(database) as harness:
        await harness.put_live_alone(await defect(gemini, "hello-world"))
        await harness.run(*KNOWN[:3])
        yield harness


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the writer propose a text in each round, or fail in it."""

    def set_to(*found: str | Exception) -> None:
        async def propose(_: Any, request: Any) -> list[CandidateText]:
            each = found[request.round - 1]
            if isinstance(each, Exception):
                raise each
            return [CandidateText(prompt=each, rationale="as the test says")]

        monkeypatch.setattr(writer.PromptWriter, "propose", propose)

    return set_to


async def disagreeing(harness: HealingHarness, result: Result) -> list[str]:
    async with harness.database.connection() as connection:
        stored = await read(connection, UUID(result["healing_id"]))
    return [each.what for each in verify(receipt_of(stored.healing), stored) if not each.agrees]


async def test_another_round_follows_and_the_better_one_is_released(
    broken: HealingHarness, gemini: str, rounds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout_plan, "UNKNOWN_RATE", 1.01)
    sound = first_prompts()["worker"]
    rounds(await defect(gemini, "half-finished"), sound)
    result = await broken.heal()
    receipt = await broken.receipt(result)
    accepted = [gate for gate in receipt["gates"] if gate["verdict"] == "accepted"]
    assert (receipt["rounds"], len(accepted) > 0) == (2, True)
    best = max(accepted, key=lambda gate: float(gate["candidate_rate"]))
    assert result["outcome"] == "promoted"
    assert result["reason"]["code"] == "better_but_not_healed"
    released = receipt["candidates"][best["ordinal"] - 1]["text"]
    assert (await broken.live()).text == released
    assert await disagreeing(broken, result) == []


@pytest.mark.parametrize(
    "error", [None, BudgetSpentError(), *chaos_only(ModelUnavailableError("it is gone"))]
)
async def test_what_is_proven_is_released_if_another_round_brings_nothing(
    broken: HealingHarness, gemini: str, rounds: Any, error: Exception | None
) -> None:
    weak = await defect(gemini, "half-finished")
    rounds(weak, error or await defect(gemini, "pseudocode"))
    result = await broken.heal()
    assert (result["outcome"], "errored" in result) == ("promoted", False)
    assert (await broken.live()).version == 3
    reason = result["reason"]
    assert (reason["code"], reason["values"]["expected"]) == ("better_but_not_healed", 0.6)
    receipt = await broken.receipt(result)
    assert len(receipt["gates"]) == 1
    assert (receipt["cut_short"] is not None) == (error is not None)
    assert "better, but not healed: it passes only" in as_markdown(receipt)
    assert await disagreeing(broken, result) == []
    if error:
        await broken.execute(
            "UPDATE healings SET receipt = receipt || '{\"cut_short\": null}'::jsonb"
        )
        assert await disagreeing(broken, result) == ["last step"]


async def test_the_version_that_falls_short_is_healed_by_its_own_failures(
    broken: HealingHarness, gemini: str, rounds: Any
) -> None:
    """It has no cool-down: its first failures open the next healing."""
    sound = first_prompts()["worker"]
    rounds(await defect(gemini, "half-finished"), BudgetSpentError())
    await broken.heal()
    await broken.execute(
        "INSERT INTO runs (id, thread_id, assistant, status, outcome, request, manager_version,"
        " worker_version, evaluator_version, finished_at) SELECT gen_random_uuid(), thread_id,"
        " assistant, status, outcome, request, 1, 3, 1, clock_timestamp() FROM runs"
    )
    rounds(sound, sound)
    result = await broken.heal()
    assert "healing_id" in result
    detection = (await broken.receipt(result))["detection"]
    assert (detection["rule"], detection["outcomes"]) == ("no_pass", "000")
