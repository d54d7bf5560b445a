"""Whatever ends what a healing released is a later step of it, and shows wherever it is read."""

import asyncio
from datetime import datetime
from uuid import uuid4

import httpx
import pytest

from bench.harness.processes import selfheal, started
from bench.harness.service import store_run
from selfheal.db import deployment_stats, healings, pauses, prompts, runs
from selfheal.db.healings import Closing, Healing, Hold, Outcome
from selfheal.db.migrate import migrate, migrations
from selfheal.db.pool import Database
from selfheal.db.prompts import Terms
from selfheal.db.reasons import because
from selfheal.db.runs import RunResult
from selfheal.db.types import Action, Release
from selfheal.optimizer.rollout import approval
from selfheal.optimizer.rollout.monitor import monitor_release

TO_ALL, CANARY = 100, 50
DECIDED = because("note", text="as decided")
WHY = because("note", text="why")


async def closed(database: Database, outcome: Outcome) -> Healing:
    """Close a healing of the worker that staged a version, or released it on these terms."""
    hold = Hold(uuid4(), uuid4())
    async with database.transaction() as connection:
        head = await prompts.head(connection, "worker")
        await healings.open_(
            connection,
            hold,
            agent="worker",
            trigger="test",
            incumbent_version=head.version,
            lease=60,
        )
        added = await prompts.add(connection, "worker", f"Better {hold.id}.", author="optimizer")
        receipt = {"outcome": outcome, "reason": DECIDED}
        closing = Closing(outcome, DECIDED, receipt, added.version)
        if outcome != "needs_approval":
            percent = CANARY if outcome == "canary" else TO_ALL
            terms = Terms(percent, hold.id)
            await prompts.release(
                connection,
                "worker",
                added.version,
                after=head,
                action="canary" if percent < TO_ALL else "heal",
                actor="optimizer",
                terms=terms,
            )
        assert await healings.close(connection, hold, closing)
        return await healings.get(connection, hold.id)


async def again(database: Database, healing: Healing) -> Healing:
    async with database.connection() as connection:
        return await healings.get(connection, healing.id)


async def activate(
    database: Database, version: int, *, action: Action = "activate", pinned: bool = False
) -> Release:
    async with database.connection() as connection:
        head = await prompts.head(connection, "worker")
        return await prompts.release(
            connection,
            "worker",
            version,
            after=head,
            action=action,
            actor="ops",
            note="why",
            terms=Terms(pinned=pinned),
        )


async def rollback(database: Database) -> None:
    async with database.connection() as connection:
        await prompts.rollback(connection, "worker", actor="ops", note="why")


@pytest.mark.parametrize("outcome", ["canary", "promoted"])
async def test_a_rollback_by_hand_is_a_step_of_the_healing_that_released(
    database: Database, outcome: Outcome
) -> None:
    healing = await closed(database, outcome)
    await rollback(database)
    now = await again(database, healing)
    step = now.follow_ups[-1]
    assert (now.outcome, step["actor"]) == ("rejected", "ops")
    assert step["reason"] == because("rolled_back", cause=WHY)
    assert now.closed_at is not None
    assert datetime.fromisoformat(step["at"]) >= now.closed_at
    assert (now.reason, now.receipt) == (healing.reason, healing.receipt), "as it was decided"
    await rollback_changes_no_other(database, now)


async def rollback_changes_no_other(database: Database, before: Healing) -> None:
    """Release another version twice over: the healing has no part in that any more."""
    await activate(database, before.to_version or 0)
    await rollback(database)
    assert await again(database, before) == before


async def test_a_pinned_version_still_belongs_to_its_healing(database: Database) -> None:
    healing = await closed(database, "promoted")
    await activate(database, healing.to_version or 0, pinned=True)
    assert (await again(database, healing)).follow_ups == []
    await rollback(database)
    assert (await again(database, healing)).outcome == "rejected"


async def test_a_canary_activated_for_all_is_promoted(database: Database) -> None:
    healing = await closed(database, "canary")
    await activate(database, healing.to_version or 0)
    now = await again(database, healing)
    assert now.outcome == "promoted"
    assert now.follow_ups[-1]["reason"] == because("promoted", cause=WHY)


async def test_a_canary_that_another_version_ends_is_rejected(database: Database) -> None:
    healing = await closed(database, "canary")
    await activate(database, 1)
    now = await again(database, healing)
    step = now.follow_ups[-1]
    assert (now.outcome, step["actor"]) == ("rejected", "ops")
    assert step["reason"] == because("replaced_during_canary", version=1, cause=WHY)


async def test_a_promoted_version_that_is_replaced_was_promoted(database: Database) -> None:
    healing = await closed(database, "promoted")
    await activate(database, 1)
    assert await again(database, healing) == healing


async def test_over_http_a_healing_lists_who_decided_and_when(
    database: Database, service_env: dict[str, str]
) -> None:
    refused = await closed(database, "needs_approval")
    approved = await closed(database, "needs_approval")
    serve = selfheal("serve", "--port", "0")
    async with (
        started(*serve, env=service_env, says=r"serving on (http://\S+)") as (_, url),
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        answer = await client.post(f"/healings/{refused.id}/reject")
        assert answer.json()["follow_ups"][0]["outcome"] == "rejected"
        body = {"at_once": True, "note": "read the diff"}
        assert (await client.post(f"/healings/{approved.id}/approve", json=body)).is_success
        detail = (await client.get(f"/healings/{approved.id}")).json()
        listed = (await client.get("/healings")).json()
    assert (detail["outcome"], detail["reason"]) == ("promoted", "as decided")
    (step,) = detail["follow_ups"]
    assert step["reason"] == "approved: read the diff"
    note = because("note", text="read the diff")
    assert step["coded_reason"] == because("approved", cause=note)
    assert detail["coded_reason"] == DECIDED
    assert step["actor"]
    assert datetime.fromisoformat(step["at"]).tzinfo is not None
    steps = {each["id"]: each["follow_ups"] for each in listed}
    assert steps[str(approved.id)] == [step]


async def test_nothing_follows_where_nothing_was_released_or_staged(database: Database) -> None:
    healing = await closed(database, "needs_approval")
    async with database.transaction() as connection:
        await approval.reject(connection, healing.id, actor="ops")
    async with database.transaction() as connection:
        with pytest.raises(approval.NothingToDecideError):
            await approval.reject(connection, healing.id, actor="ops")
    assert len((await again(database, healing)).follow_ups) == 1


async def test_sentences_of_the_version_before_become_notes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apply the steps up to the one that makes reasons codes, then that one, over stored rows."""
    known = migrations()
    step = next(each for each in known if "reasons" in each.name)
    async with database.connection() as connection:
        await connection.execute(b"DROP SCHEMA public CASCADE")
        await connection.execute(b"DROP SCHEMA grafana CASCADE")
        await connection.execute(b"CREATE SCHEMA public")
    before = [each for each in known if each.number < step.number]
    monkeypatch.setattr("selfheal.db.migrate.migrations", lambda: before)
    await migrate(database)
    healing = uuid4()
    async with database.connection() as connection:
        for query in BEFORE:
            await connection.execute(query.encode(), {"id": healing})
    monkeypatch.setattr("selfheal.db.migrate.migrations", lambda: known)
    assert step.name in (await migrate(database)).applied
    async with database.connection() as connection:
        now = await healings.get(connection, healing)
        last = await deployment_stats.last_pass(connection)
        pause = await pauses.current(connection)
    assert (now.reason, [each["reason"] for each in now.follow_ups]) == (DECIDED, [WHY])
    assert last is not None
    assert last.reason is None
    assert pause is not None
    assert pause.reason == WHY


BEFORE = (
    """INSERT INTO healings (id, agent, trigger, state, outcome, reason, incumbent_version, holder,
           lease_until, closed_at)
       VALUES (%(id)s, 'worker', 'test', 'end', 'promoted', 'as decided', 1, %(id)s, now(),
           now())""",
    """INSERT INTO healing_follow_ups (healing_id, outcome, reason, actor)
       VALUES (%(id)s, 'promoted', 'why', 'ops')""",
    "INSERT INTO optimizer_outcomes (outcome, passes, last_at) VALUES ('healthy', 1, now())",
    "INSERT INTO pauses (paused, reason, actor) VALUES (true, 'why', 'ops')",
)


async def stored_runs(database: Database, version: int, tokens: int) -> None:
    """Store 60 passing runs of a worker's version; its own calls took so many tokens each."""
    evaluation = {
        "score": 0.9, "rule_score": 0.9, "llm_score": 0.9, "passed": True,
        "checks": [], "reasons": [], "execution": {},
    }  # fmt: skip
    calls = {"calls": 1, "output_tokens": 0}
    result = RunResult(
        "ok",
        prompt_versions={"manager": 1, "worker": version, "evaluator": 1},
        usage={
            "worker": {**calls, "input_tokens": tokens},
            "manager": {**calls, "input_tokens": 500},
        },
        evaluation=evaluation,
    )
    async with database.transaction() as connection:
        for _ in range(60):
            run_id = uuid4()
            await store_run(connection, run_id, "x")
            await runs.finish(connection, run_id, result)


async def held(database: Database) -> Healing:
    """Return a healing whose canary takes twice as many tokens, after it was looked at."""
    healing = await closed(database, "canary")
    await stored_runs(database, healing.incumbent_version, 100)
    await stored_runs(database, healing.to_version or 0, 200)
    looks = await asyncio.gather(*(monitor_release(database, "worker") for _ in range(4)))
    assert {each.action for each in looks if each} == {"hold"}
    return await again(database, healing)


async def newest(database: Database) -> Release:
    async with database.connection() as connection:
        return await prompts.head(connection, "worker")


async def test_a_canary_that_exceeds_a_guard_waits_for_approval(database: Database) -> None:
    healing = await held(database)
    more = because("canary_more_tokens", tokens=200.0, before=100.0, at_most=1.5)
    (step,) = healing.follow_ups
    assert (healing.outcome, step["outcome"], step["actor"]) == (
        "needs_approval",
        "needs_approval",
        "optimizer",
    )
    assert step["reason"]["code"] == more["code"]
    assert step["reason"]["values"] == pytest.approx(more["values"])
    assert (await newest(database)).percent == CANARY, "it keeps its share"
    await stored_runs(database, healing.to_version or 0, 100)
    await stored_runs(database, healing.to_version or 0, 1)
    await monitor_release(database, "worker")
    assert (await newest(database)).percent == CANARY, "until it is decided"
    async with database.connection() as connection:
        row = await approval.approve(
            connection, healing.id, percent=CANARY, actor="ops", note="worth it"
        )
    assert (row.action, row.version, row.percent) == ("promote", healing.to_version, TO_ALL)
    now = await again(database, healing)
    assert (now.outcome, now.follow_ups[-1]["actor"]) == ("promoted", "ops")
    approved = because("approved", cause=because("note", text="worth it"))
    assert now.follow_ups[-1]["reason"] == because("promoted", cause=approved)
    with pytest.raises(approval.NothingToDecideError):
        async with database.connection() as connection:
            await approval.approve(connection, healing.id, percent=CANARY, actor="ops")


async def test_a_held_canary_that_is_rejected_is_rolled_back(database: Database) -> None:
    healing = await held(database)
    async with database.connection() as connection:
        now = await approval.reject(connection, healing.id, actor="ops")
    head = await newest(database)
    assert (head.action, head.version, head.percent, head.actor) == (
        "rollback",
        healing.incumbent_version,
        TO_ALL,
        "ops",
    )
    assert (now.outcome, now.follow_ups[-1]["reason"]) == (
        "rejected",
        because("rolled_back", cause=because("rejected")),
    )


async def aged(database: Database) -> None:
    """Let a day pass since all releases."""
    async with database.connection() as connection:
        query = "UPDATE releases SET created_at = created_at - interval '25 hours'"
        await connection.execute("ALTER TABLE releases DISABLE TRIGGER USER")
        await connection.execute(query)
        await connection.execute("ALTER TABLE releases ENABLE TRIGGER USER")


async def test_an_undecided_canary_that_then_exceeds_a_guard_stays_held(
    database: Database,
) -> None:
    healing = await closed(database, "canary")
    await aged(database)
    await monitor_release(database, "worker")
    await stored_runs(database, healing.incumbent_version, 100)
    await stored_runs(database, healing.to_version or 0, 200)
    await monitor_release(database, "worker")
    now = await again(database, healing)
    codes = [each["reason"]["code"] for each in now.follow_ups]
    assert (now.outcome, codes) == ("needs_approval", ["canary_undecided", "canary_more_tokens"])


async def test_an_undecided_canary_waits_for_approval_and_may_still_decide_itself(
    database: Database,
) -> None:
    healing = await closed(database, "canary")
    await aged(database)
    await monitor_release(database, "worker")
    now = await again(database, healing)
    assert (now.outcome, now.follow_ups[-1]["reason"]["code"]) == (
        "needs_approval",
        "canary_undecided",
    )
    await monitor_release(database, "worker")
    assert (await again(database, healing)).follow_ups == now.follow_ups, "it is stored once"
    for version in (healing.incumbent_version, healing.to_version or 0):
        await stored_runs(database, version, 100)
    await monitor_release(database, "worker")
    assert (await again(database, healing)).outcome == "promoted"
    assert (await newest(database)).percent == TO_ALL
