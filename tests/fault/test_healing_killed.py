"""A healing whose process is killed at any moment is brought to its one end by the next one."""

import asyncio
import json
import sys
from asyncio import StreamReader
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest

from bench.harness.healing import KNOWN, HealingHarness, calls, defect, open_healing_harness
from bench.harness.processes import Process, finished, heard, speaking
from selfheal.db.pool import Database
from selfheal.db.trials import Candidate, add_candidate, candidates
from selfheal.optimizer.receipt.schema import Receipt, receipt_of
from selfheal.optimizer.receipt.stored import read
from selfheal.optimizer.receipt.verify import verify
from tests.conftest import control
from tests.support.chaos import chaos_only

COMMAND = (sys.executable, "-m", "tests.support.optimizer_process")
STATES = ("gate", "release")
AND_THESE = ("sample", "diagnose", "blame", "propose", "lint", "screen")


# What one process may have been in the middle of: 4 pairs of 2 trials of 3 calls, or 2 proposals.
IN_FLIGHT = 24


@pytest.fixture
async def harness(database: Database, gemini: str) -> AsyncIterator[HealingHarness]:
    """Return a harness whose worker's prompt is broken, and has failed three times."""
    async with open_healing_harness(database) as opened:
        await opened.put_live_alone(await defect(gemini, "hello-world"))
        await opened.run(*KNOWN[:3])
        yield opened


@pytest.fixture
def env(service_env: dict[str, str]) -> dict[str, str]:
    return {**service_env, "SELFHEAL_LEASE_SECONDS": "1"}


async def result_of(said: StreamReader) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await heard(said, r"result (.*)"))
    return found


Moment = Callable[[Process, StreamReader], Awaitable[Any]]


async def killed_when(env: Mapping[str, str], moment: Moment) -> None:
    async with speaking(*COMMAND, env=env) as (running, said):
        await moment(running, said)
        running.kill()
        await running.wait()


async def until(harness: HealingHarness, query: str, running: Process) -> None:
    """Wait until a query of the database says true."""
    async with asyncio.timeout(60):
        while True:
            async with harness.database.connection() as connection:
                row = await (await connection.execute(query.encode())).fetchone()
            if row and next(iter(row.values() if isinstance(row, dict) else row)):
                return
            assert running.returncode is None, "it ended before its time"
            await asyncio.sleep(0.005)


async def ends_well(harness: HealingHarness, env: Mapping[str, str], gemini: str) -> Receipt:
    """Let a second process go on at once; check that all is as if there had been one only."""
    opened = [each.id for each in await harness.healings()]
    async with speaking(*COMMAND, env=env) as (_, said):
        result = await result_of(said)
    assert (result["outcome"], result["to_version"]) == ("promoted", 3)
    (healing,) = await harness.healings()
    assert [healing.id] == (opened or [healing.id])
    assert str(healing.id) == result["healing_id"]
    log = await harness.log()
    assert [(each.action, each.version) for each in log] == [
        ("heal", 3),
        ("activate", 2),
        ("seed", 1),
    ]
    assert [each.version for each in await harness.versions()] == [3, 2, 1]
    receipt = receipt_of(healing)
    async with harness.database.connection() as connection:
        replayed = verify(receipt, await read(connection, healing.id))
    assert [each for each in replayed if not each.agrees] == []
    winner = next(each for each in receipt["candidates"] if each["fate"] == "accepted")
    assert winner["text"] == (await harness.live()).text
    async with harness.database.connection() as connection:
        stored = await candidates(connection, healing.id)
    assert [each.text for each in stored] == [each["text"] for each in receipt["candidates"]]
    made = await calls(gemini)
    made.subtract({"manager": 3, "worker": 3})  # the three runs that failed
    # Every trial's calls are on the receipt once; what is more, was in flight or is no trial's.
    tried = sum(row["calls"] for row in receipt["trials"])
    assert receipt["judge"] is not None
    checked = receipt["judge"]["asked"]  # golden verdicts, before the first trial
    overhead = made["diagnostician"] + made["writer"] + made["manager"] + checked
    assert tried + overhead <= made.total() <= tried + overhead + IN_FLIGHT
    assert made["diagnostician"] <= 2
    assert made["writer"] <= 4 * max(each["round"] for each in receipt["candidates"])
    return receipt


@pytest.mark.parametrize("state", [*STATES, *chaos_only(*AND_THESE)])
async def test_killed_after_any_state(
    harness: HealingHarness, env: dict[str, str], gemini: str, state: str
) -> None:
    frozen = {**env, "FREEZE_AFTER": state}
    await killed_when(frozen, lambda _, said: heard(said, f"^ended {state}$"))
    assert (await harness.live()).version == (3 if state == "release" else 2)
    await ends_well(harness, env, gemini)


@pytest.mark.parametrize("state", ["release", *chaos_only("triage", "propose", "screen")])
async def test_killed_between_the_work_and_its_checkpoint(
    harness: HealingHarness, env: dict[str, str], gemini: str, state: str
) -> None:
    """What was done and not noted is done again, and must be found done."""
    await finished(*COMMAND, env={**env, "DIE_IN": state})
    assert (await harness.live()).version == (3 if state == "release" else 2)
    await ends_well(harness, env, gemini)


@pytest.mark.chaos
async def test_killed_when_all_is_done(harness: HealingHarness, env: dict[str, str]) -> None:
    await finished(*COMMAND, env={**env, "DIE_IN": "conclude"})
    (healing,) = await harness.healings()
    assert (healing.outcome, healing.to_version) == ("promoted", 3)
    async with speaking(*COMMAND, env=env) as (_, said):
        assert (await result_of(said))["outcome"] == "healthy"


MOMENTS = {
    "diagnosing": "SELECT state = 'diagnose' FROM healings",
    "early in the gate": "SELECT count(*) > 4 FROM trials WHERE stage = 'gate'",
    "late in the gate": "SELECT count(*) > 40 FROM trials WHERE stage = 'gate'",
}


@pytest.mark.parametrize(
    "moment", ["early in the gate", *chaos_only("diagnosing", "late in the gate")]
)
async def test_killed_in_the_middle_of_a_state(
    harness: HealingHarness, env: dict[str, str], gemini: str, moment: str
) -> None:
    await killed_when(env, lambda running, _: until(harness, MOMENTS[moment], running))
    await ends_well(harness, env, gemini)


@pytest.mark.chaos
async def test_killed_again_and_again(
    harness: HealingHarness, env: dict[str, str], gemini: str
) -> None:
    for count in (3, 12, 30):
        query = f"SELECT count(*) > {count} FROM trials"
        await killed_when(env, lambda running, _, query=query: until(harness, query, running))  # type: ignore[misc]
    async with speaking(*COMMAND, env=env) as (_, said):
        result = await result_of(said)
    assert result["outcome"] == "promoted"
    assert len(await harness.healings()) == 1
    assert [each.action for each in await harness.log()] == ["heal", "activate", "seed"]


@pytest.mark.chaos
async def test_two_at_once_heal_once(harness: HealingHarness, env: dict[str, str]) -> None:
    async with speaking(*COMMAND, env=env) as (_, one), speaking(*COMMAND, env=env) as (_, other):
        results = await asyncio.gather(result_of(one), result_of(other))
    outcomes = sorted(each["outcome"] for each in results)
    assert outcomes in (["busy", "promoted"], ["healthy", "promoted"]), results
    assert len(await harness.healings()) == 1
    assert [each.action for each in await harness.log()] == ["heal", "activate", "seed"]
    assert len(await harness.versions()) == 3


@pytest.mark.chaos
async def test_a_living_process_keeps_its_healing(
    harness: HealingHarness, env: dict[str, str], gemini: str
) -> None:
    await control(gemini, latency_seconds=0.25)  # so that the other comes in the middle of it
    async with speaking(*COMMAND, env=env) as (_, one):
        await heard(one, "ended diagnose")
        async with speaking(*COMMAND, env=env) as (_, other):
            results = await asyncio.gather(result_of(one), result_of(other))
    assert results[0]["outcome"] == "promoted"
    assert results[1]["outcome"] in ("busy", "healthy")


async def test_a_candidate_proposed_again_is_the_one_that_counts(harness: HealingHarness) -> None:
    """Killed while it proposes, a healing asks the writer again: two texts for one ordinal."""
    await harness.execute(
        "INSERT INTO healings (id, agent, trigger, state, incumbent_version, holder, lease_until)"
        " VALUES (gen_random_uuid(), 'worker', 't', 'propose', 2, gen_random_uuid(), now())"
    )
    (healing,) = await harness.healings()
    async with harness.database.connection() as connection:
        for text in ("first", "second"):
            again = Candidate(healing.id, 1, 1, "writer", text, "why")
            await add_candidate(connection, again)
        assert [each.text for each in await candidates(connection, healing.id)] == ["second"]
