"""The judge's flag, through the service's own daily check: raised, kept, and lifted."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import pytest
from psycopg.types.json import Jsonb

from bench.harness.healing import HealingHarness, calls, defect, next_day, open_healing_harness
from bench.harness.processes import finished, selfheal
from selfheal.db import judge_checks
from selfheal.db.errors import NotFoundError
from selfheal.db.judge_checks import JudgeFlag
from selfheal.db.pool import Database
from selfheal.optimizer.dataset.golden_verdicts import GoldenVerdict, Opinion, golden_verdicts
from selfheal.optimizer.evaluation import judge_drift
from selfheal.optimizer.evaluation.judge_drift import DriftCheck, check_daily
from selfheal.optimizer.policy.judge_drift import ANCHOR_CHECKS, PARTS
from selfheal.optimizer.receipt.schema import receipt_of
from selfheal.optimizer.receipt.stored import read
from selfheal.optimizer.receipt.verify import verify
from selfheal.optimizer.state import Result
from selfheal.server.app import create_app
from selfheal.server.execution.optimizer_runs import OptimizerScheduler

ALL = len(golden_verdicts())
THIRD = ALL // PARTS


@dataclass
class ScriptedJudge:
    """A judge whose scores are the marks plus a bias and noise; `asked` counts its answers."""

    luck: random.Random
    bias: float = 0.0
    sigma: float = 0.05
    asked: int = 0
    days: list[DriftCheck] = field(default_factory=list)

    async def answer(
        self, _: Any, __: str, verdicts: Sequence[GoldenVerdict], ___: int
    ) -> list[Opinion]:
        self.asked += len(verdicts)
        return [
            Opinion(each, min(max(each.mark + self.bias + self.luck.gauss(0, self.sigma), 0), 1))
            for each in verdicts
        ]


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> ScriptedJudge:
    scripted = ScriptedJudge(random.Random(7))
    monkeypatch.setattr(judge_drift, "ask_judge", scripted.answer)
    return scripted


@pytest.fixture
async def harness(database: Database, gemini: str) -> AsyncIterator[HealingHarness]:
    async with open_healing_harness(database) as opened:
        yield opened


async def live_days(
    harness: HealingHarness,
    judge: ScriptedJudge,
    days: int,
    bias: Callable[[int], float] = lambda _: 0.0,
) -> list[int]:
    """Let days pass, each with the daily check; return those on which a flag stood after it."""
    flagged = []
    for day in range(days):
        judge.bias = bias(day)
        found = await check_daily(harness.context)
        assert found is not None
        judge.days.append(found)
        if found.finding["flag"]:
            flagged.append(day)
        await next_day(harness)
    return flagged


async def flag(harness: HealingHarness, version: int = 1) -> JudgeFlag | None:
    model = harness.context.agent.evaluator.model.name
    async with harness.database.connection() as connection:
        return await judge_checks.standing_flag(connection, model, version)


async def lift(harness: HealingHarness, reason: str = "checked by hand") -> JudgeFlag:
    model = harness.context.agent.evaluator.model.name
    async with harness.database.transaction() as connection:
        return await judge_drift.lift(connection, model, actor="ops", reason=reason)


@pytest.mark.parametrize(
    ("step", "sigma", "latest"), [(0.01, 0.05, 19), (0.02, 0.05, 13), (0.01, 0.15, 31)]
)
async def test_a_creeping_drift_ends_in_a_flag_and_freezes_at_no_call(
    harness: HealingHarness,
    gemini: str,
    judge: ScriptedJudge,
    step: float,
    sigma: float,
    latest: int,
) -> None:
    judge.sigma = sigma
    flagged = await live_days(harness, judge, 60, lambda day: step * day)
    first = flagged[0]
    assert 5 <= first <= latest
    assert flagged == list(range(first, 60))
    anchor = judge.days[-1].finding["compared"]
    assert anchor == judge.days[first].finding["compared"]
    assert len(anchor) == min(first, ANCHOR_CHECKS)
    await harness.put_live(await defect(gemini, "hello-world"))
    before, asked = await calls(gemini), judge.asked
    result = await harness.heal(forced=True)
    assert (result["outcome"], result["reason"]["code"]) == ("frozen", "judge_drifted")
    assert (await calls(gemini), judge.asked) == (before, asked)


async def test_a_sound_judge_costs_a_third_a_day_and_is_not_flagged(
    harness: HealingHarness, judge: ScriptedJudge
) -> None:
    assert await live_days(harness, judge, 60) == []
    assert judge.asked <= 1.05 * 60 * THIRD
    asked = [each.finding["parts"][0]["part"] for each in judge.days]
    assert asked[:4] == [0, 1, 2, 0]
    first = [each.finding["check"] for each in judge.days[:ANCHOR_CHECKS]]
    assert [each["check"] for each in judge.days[-1].finding["compared"]] == first


async def test_a_judge_that_recovers_is_trusted_after_two_daily_checks(
    harness: HealingHarness, judge: ScriptedJudge
) -> None:
    flagged = await live_days(harness, judge, 20, lambda day: 0.5 if 12 <= day < 15 else 0.0)
    assert flagged == [12, 13, 14, 15]  # sound on days 15 and 16
    assert [each.finding["asked"] for each in judge.days[13:17]] == [ALL] * 4
    assert judge.days[17].finding["asked"] == THIRD
    assert await flag(harness) is None
    async with harness.database.connection() as connection:
        found = await connection.execute("SELECT lifted_by, reason FROM judge_flags")
        rows = await found.fetchall()
    assert [(row["lifted_by"], row["reason"]["code"]) for row in rows] == [
        ("optimizer", "judge_recovered")
    ]
    assert judge.days[17].finding["compared"] == judge.days[11].finding["compared"]


async def test_checks_by_hand_on_one_day_do_not_lift_a_flag(
    harness: HealingHarness, judge: ScriptedJudge
) -> None:
    await live_days(harness, judge, 12, lambda day: 0.5 if day == 11 else 0.0)
    model = harness.context.agent.evaluator.model.name
    judge.bias = 0.0
    for _ in range(3):
        opinions = await judge.answer(None, "", golden_verdicts(), 1)
        parts = judge_drift.parts_of(opinions)
        finding = await judge_drift.record(harness.database, model, 1, parts)
        assert finding["flag"] is not None


async def test_an_operator_lifts_a_flag_and_the_anchor_starts_anew(
    harness: HealingHarness, judge: ScriptedJudge
) -> None:
    flagged = await live_days(harness, judge, 15, lambda day: 0.0 if day < 12 else 0.25)
    assert flagged[0] == 12
    lifted = await lift(harness)
    assert (lifted.lifted_by, lifted.reason) == (
        "ops",
        {"code": "note", "values": {"text": "checked by hand"}},
    )
    with pytest.raises(NotFoundError, match="no flag of the judge"):
        await lift(harness)
    judge.days.clear()
    judge.sigma = 0.0
    later = await live_days(harness, judge, 12, lambda _: 0.15)
    assert later == []
    assert judge.days[0].finding["usual"] is None
    assert len(judge.days[-1].finding["compared"]) == ANCHOR_CHECKS
    assert await live_days(harness, judge, 2, lambda _: 0.5) == [0, 1]


async def test_a_new_prompt_is_compared_with_the_models_earlier_one_until_it_has_a_check(
    harness: HealingHarness, judge: ScriptedJudge
) -> None:
    await live_days(harness, judge, 5)
    await harness.put_live("Compare the code with the request.", "evaluator")
    (second,) = [await check_daily(harness.context)]
    assert second is not None
    assert [each["prompt_version"] for each in second.finding["compared"]] == [1] * 5
    assert second.finding["sound_version"] == 1
    await next_day(harness)
    third = await check_daily(harness.context)
    assert third is not None
    assert [each["prompt_version"] for each in third.finding["compared"]] == [2]
    await harness.put_live("Give any marks.", "evaluator")
    judge.bias = 0.5
    broken = await check_daily(harness.context)
    assert broken is not None
    assert (broken.finding["drifted"], broken.finding["sound_version"]) == (True, 2)


async def test_another_model_has_an_anchor_of_its_own_and_the_floor(
    harness: HealingHarness, judge: ScriptedJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live_days(harness, judge, 3)
    monkeypatch.setattr(harness.context.agent.evaluator.model, "name", "google_genai:other")
    found = await check_daily(harness.context)
    assert found is not None
    assert (found.finding["usual"], found.finding["flag"]) == (None, None)
    judge.bias = 0.5
    await next_day(harness)
    await harness.execute("DELETE FROM judge_checks WHERE model = 'google_genai:other'")
    await harness.execute("DELETE FROM judge_turns")
    found = await check_daily(harness.context)
    assert found is not None
    assert (found.finding["low"], found.finding["drifted"]) == (True, False)


async def disagreeing(harness: HealingHarness, result: Result) -> set[str]:
    async with harness.database.connection() as connection:
        stored = await read(connection, UUID(result["healing_id"]))
    found = verify(receipt_of(stored.healing), stored)
    return {each.what for each in found if not each.agrees}


TAMPERED: list[tuple[tuple[str, ...], object, set[str]]] = [
    (("parts", "0", "agreed"), 38, {"judge: agreement"}),
    (("usual",), [200, 200], {"judge: verdict"}),
    (("compared", "0", "agreed"), 1, {"judge: anchor", "judge: verdict"}),
    (("flag", "agreed"), 1, {"judge: flag", "outcome: decision"}),
    (("flag", "usual"), [1, 2], {"judge: flag", "outcome: decision", "judge: flag raised"}),
    (("flag",), None,
     {"judge: stored check", "judge: verdict", "judge: no flag raised", "outcome: decision"}),
    (("agreed",), 39, {"judge: stored check"}),
    (("low",), True, {"judge: verdict"}),
    (("sound_version",), 1, {"judge: cause", "outcome: decision"}),
]  # fmt: skip


async def test_what_froze_a_healing_is_recomputed(
    harness: HealingHarness, judge: ScriptedJudge
) -> None:
    await live_days(harness, judge, 4)
    judge.bias = 0.5
    result = await harness.heal(forced=True)
    assert result["outcome"] == "frozen"
    assert judge.asked == 5 * THIRD  # beyond doubt with the first third
    again = await harness.heal(forced=True)
    assert (again["outcome"], judge.asked) == ("frozen", 5 * THIRD)
    assert await disagreeing(harness, again) == set()
    assert await disagreeing(harness, result) == set()
    whole = await harness.receipt(result)
    for path, value, due in TAMPERED:
        await harness.execute(
            "UPDATE healings SET receipt = jsonb_set(receipt, %(path)s::text[], %(value)s)"
            f" WHERE id = '{result['healing_id']}'",
            path=["judge", *path],
            value=Jsonb(value),
        )
        assert await disagreeing(harness, result) - {"receipt: schema"} == due, path
        await harness.execute(
            f"UPDATE healings SET receipt = %(whole)s WHERE id = '{result['healing_id']}'",
            whole=Jsonb(whole),
        )


async def test_a_flag_is_shown_and_lifted_over_http(
    harness: HealingHarness, judge: ScriptedJudge
) -> None:
    await live_days(harness, judge, 4, lambda day: 0.5 if day == 3 else 0.0)
    app = create_app(harness.service.service, OptimizerScheduler(harness.context, 0))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        shown = (await client.get("/judge")).json()
        assert (shown["flagged"], shown["anchor_checks"], shown["flag"]["asked"]) == (
            True,
            3,
            THIRD,
        )
        assert (await client.post("/judge/lift", json={})).status_code == 422
        lifted = await client.post("/judge/lift", json={"reason": "as intended"})
        assert (lifted.status_code, lifted.json()["reason"]) == (200, "as intended")
        assert (await client.post("/judge/lift", json={"reason": "again"})).status_code == 404
        shown = (await client.get("/judge")).json()
        assert (shown["flagged"], shown["anchor"]) == (False, None)


async def test_the_command_lifts_a_flag(
    harness: HealingHarness, judge: ScriptedJudge, service_env: dict[str, str]
) -> None:
    await live_days(harness, judge, 4, lambda day: 0.5 if day == 3 else 0.0)
    command = selfheal("golden", "lift", "--reason", "its marks are right")
    code, out, err = await finished(*command, env=service_env)
    assert (code, err, "is lifted" in out) == (0, "", True)
    assert await flag(harness) is None
    code, out, err = await finished(*command, env=service_env)
    assert (code, out, "no flag of the judge" in err) == (2, "", True)
