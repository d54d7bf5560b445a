"""Receipts that a sceptic can recompute: every kind of ending, and every kind of tampering."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from bench.harness.healing import KNOWN, HealingHarness, defect, open_healing_harness
from bench.harness.processes import finished, selfheal
from selfheal.db.pool import Database
from selfheal.db.reasons import because
from selfheal.optimizer import wording
from selfheal.optimizer.proposers import writer
from selfheal.optimizer.proposers.base import CandidateText
from selfheal.optimizer.receipt.build import trial_record
from selfheal.optimizer.receipt.markdown import as_markdown
from selfheal.optimizer.receipt.schema import receipt_of
from selfheal.optimizer.receipt.stored import read
from selfheal.optimizer.receipt.verify import Verification, verify
from selfheal.optimizer.rollout import approval
from selfheal.optimizer.state import Result, State
from tests.conftest import control
from tests.support.chaos import chaos_only


@pytest.fixture
async def harness(
    database: Database, gemini: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[HealingHarness]:
    monkeypatch.setenv("SELFHEAL_HEAL_BUDGET_CALLS", "1200")
    async with open_healing_harness(database) as opened:
        yield opened


@pytest.fixture
async def sick(harness: HealingHarness, gemini: str) -> HealingHarness:
    await harness.put_live_alone(await defect(gemini, "hello-world"))
    await harness.run(*KNOWN[:3])
    return harness


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the writer propose what the test says, and nothing else."""

    def set_to(*texts: str) -> None:
        left = list(texts)

        async def write(*_: Any) -> CandidateText:
            return CandidateText(
                prompt=left.pop(0) if left else texts[-1], rationale="as the test says"
            )

        monkeypatch.setattr(writer, "write", write)

    return set_to


async def replayed(harness: HealingHarness, result: Result) -> list[Verification]:
    async with harness.database.connection() as connection:
        stored = await read(connection, UUID(result["healing_id"]))
    return verify(receipt_of(stored.healing), stored)


async def disagreeing(harness: HealingHarness, result: Result) -> set[str]:
    return {each.what for each in await replayed(harness, result) if not each.agrees}


async def agrees(harness: HealingHarness, result: Result, *about: str) -> None:
    """See that all decisions agree, those about these things among them."""
    found = await replayed(harness, result)
    assert [each for each in found if not each.agrees] == []
    for words in about:
        assert any(each.what.startswith(words) for each in found), (words, found)


async def fates(harness: HealingHarness, result: Result) -> list[str]:
    return [each["fate"] for each in (await harness.receipt(result))["candidates"]]


ALL = ("receipt: schema", "detection: rule", "judge: agreement", "attribution: agent",
       "split: fingerprint", "candidate 1: fate", "screen of round 1", "gate of candidate",
       "release: plan", "outcome", "cost")  # fmt: skip


async def test_a_promotion_replays(sick: HealingHarness) -> None:
    result = await sick.heal()
    assert result["outcome"] == "promoted"
    await agrees(sick, result, *ALL)


@pytest.mark.chaos
async def test_a_revert_to_the_last_good_version_replays(
    harness: HealingHarness, gemini: str
) -> None:
    await harness.run(*KNOWN)
    await harness.put_live(await defect(gemini, "hello-world"))
    await harness.run(*KNOWN[:3])
    result = await harness.heal()
    assert (result["outcome"], result["to_version"]) == ("promoted", 1)
    about = [each for each in ALL if each != "screen of round 1"]
    await agrees(harness, result, *about, "attribution: trials", "last step")


async def test_a_rejection_at_lint_replays(sick: HealingHarness, writes: Any) -> None:
    writes("Write Python, as https://example.com/prompts says.")
    result = await sick.heal()
    assert (result["outcome"], {*await fates(sick, result)}) == ("rejected", {"lint", "screen"})
    await agrees(sick, result, "candidate 5: fate", "last step")


async def test_a_rejection_at_the_screen_replays(
    sick: HealingHarness, gemini: str, writes: Any
) -> None:
    broken = await defect(gemini, "hello-world")
    writes(*(f"{broken} {'Really. ' * times}" for times in range(1, 5)))
    result = await sick.heal()
    assert (result["outcome"], {*await fates(sick, result)}) == ("rejected", {"screen"})
    await agrees(sick, result, "screen of round 1", "screen of round 2", "last step")


@pytest.mark.chaos
async def test_a_rejection_at_the_gate_replays(harness: HealingHarness, writes: Any) -> None:
    await harness.run(*KNOWN)
    sound = (await harness.live()).text
    writes(*(f"{sound} {'Work well. ' * times}" for times in range(1, 5)))
    result = await harness.heal(forced=True)
    assert (result["outcome"], "gate" in await fates(harness, result)) == ("rejected", True)
    assert len((await harness.receipt(result))["gates"]) == 2
    await agrees(harness, result, "gate of candidate", "gates: candidate", "last step")


async def test_one_that_waits_for_a_person_replays(
    database: Database, gemini: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFHEAL_ROLLOUT", "manual")
    async with open_healing_harness(database) as harness:
        await harness.put_live(await defect(gemini, "hello-world"))
        await harness.run(*KNOWN[:3])
        result = await harness.heal()
        assert result["outcome"] == "needs_approval"
        await agrees(harness, result, *ALL)
        async with harness.database.transaction() as connection:
            await approval.reject(connection, UUID(result["healing_id"]), actor="ops")
        await agrees(harness, result, *ALL)
        await harness.execute("UPDATE healings SET outcome = 'promoted'")
        assert await disagreeing(harness, result) == {"outcome: stored outcome"}


@pytest.mark.chaos
async def test_a_frozen_one_replays(sick: HealingHarness, gemini: str) -> None:
    first = await sick.heal()
    await sick.put_live(await defect(gemini, "hello-world"))
    await sick.run(*KNOWN)
    await sick.execute("UPDATE judge_checks SET created_at = now() - interval '25 hours'")
    await control(gemini, scenario="judge-lenient")
    result = await sick.heal(forced=True)
    assert result["outcome"] == "frozen"
    await agrees(sick, result, "judge: verdict", "outcome")
    await control(gemini, scenario="sound")
    again = await sick.heal(forced=True)
    await agrees(sick, again, "judge: verdict")
    await agrees(sick, first)


@pytest.mark.chaos
async def test_one_by_a_judge_that_was_asked_today_replays(
    sick: HealingHarness, gemini: str
) -> None:
    await sick.heal()
    await sick.put_live(await defect(gemini, "hello-world"))
    await sick.run(*KNOWN)
    result = await sick.heal(forced=True)
    assert (await sick.receipt(result))["judge"]["fresh"]
    await agrees(sick, result, "judge: verdict")


@pytest.mark.parametrize("budget", [1, 60, *chaos_only(12, 45, 100, 120)])
async def test_one_without_budget_replays(
    database: Database, gemini: str, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    monkeypatch.setenv("SELFHEAL_HEAL_BUDGET_CALLS", str(budget))
    async with open_healing_harness(database) as harness:
        await harness.put_live(await defect(gemini, "hello-world"))
        await harness.run(*KNOWN[:3])
        result = await harness.heal()
        assert "budget_exhausted" in repr((await harness.healing(result)).reason)
        await agrees(harness, result, "outcome", "cost: model calls")


async def test_a_void_proof_replays(sick: HealingHarness) -> None:
    tasks = []

    def watch(state: str, _: State) -> None:
        if state == "screen":
            text = "You write Python, all of it, and well."
            tasks.append(asyncio.create_task(sick.put_live(text)))

    result = await sick.heal(watch)
    assert result["reason"]["code"] == "proof_void"
    await agrees(sick, result, "release: plan")


@pytest.mark.parametrize("fault", ["babble", *chaos_only("empty")])
async def test_one_that_gave_up_replays(sick: HealingHarness, gemini: str, fault: str) -> None:
    await control(gemini, faults=[{"kind": fault, "persona": "writer"}])
    result = await sick.heal()
    assert (await sick.receipt(result))["gave_up"]
    await agrees(sick, result, "outcome")


@pytest.mark.chaos
async def test_faults_in_the_gate_replay(sick: HealingHarness, gemini: str) -> None:
    """Cases without a verdict, or without a plan, are no pairs now either."""
    faults = [{"kind": "babble", "persona": each} for each in ("judge", "manager")]
    await control(gemini, faults=[{**each, "probability": 0.2} for each in faults])
    await agrees(sick, await sick.heal(), "gate of candidate")


@pytest.mark.chaos
@pytest.mark.parametrize("agent", ["harsh-evaluator", *chaos_only("renaming-manager")])
async def test_healings_of_other_agents_replay(
    harness: HealingHarness, gemini: str, agent: str
) -> None:
    await harness.put_live(await defect(gemini, agent), agent.partition("-")[2])
    await harness.run()
    result = await harness.heal()
    assert result["agent"] == agent.partition("-")[2]
    await agrees(harness, result, "attribution: agent", "screen of round 1")


@pytest.fixture
async def healed(sick: HealingHarness) -> tuple[HealingHarness, Result, str]:
    """Return a healing that was promoted, and the name of its gate."""
    result = await sick.heal()
    arm = (await sick.receipt(result))["gates"][-1]["ordinal"]
    return sick, result, f"gate of candidate {arm}"


async def tampered(harness: HealingHarness, *path: str, value: object) -> None:
    await harness.execute(
        "UPDATE healings SET receipt = jsonb_set(receipt, %(path)s::text[], %(value)s)",
        path=list(path),
        value=Jsonb(value),
    )


async def test_a_tampered_trial_shows(healed: tuple[HealingHarness, Result, str]) -> None:
    harness, result, gate = healed
    await harness.execute(
        "UPDATE trials SET passed = NOT passed WHERE stage = 'gate' AND arm = 0 AND case_id ="
        " (SELECT min(case_id) FROM trials WHERE stage = 'gate' AND arm = 0)"
    )
    found = await disagreeing(harness, result)
    assert f"{gate}: order of pairs" in found
    assert {each for each in found if not each.startswith(gate)} == {"trials: list"}
    async with harness.database.connection() as connection:
        stored = await read(connection, UUID(result["healing_id"]))
    await tampered(harness, "trials", value=[trial_record(each) for each in stored.trials])
    assert {each.partition(":")[0] for each in await disagreeing(harness, result)} == {gate}


@pytest.mark.chaos
async def test_a_tampered_score_shows(healed: tuple[HealingHarness, Result, str]) -> None:
    harness, result, gate = healed
    await harness.execute(
        "UPDATE trials SET score = score - 0.004 WHERE stage = 'gate' AND arm > 0"
    )
    found = await disagreeing(harness, result)
    assert f"{gate}: score difference" in found
    assert {each for each in found if not each.startswith(gate)} == {"trials: list"}


@pytest.mark.chaos
async def test_a_tampered_screen_shows(healed: tuple[HealingHarness, Result, str]) -> None:
    harness, result, _ = healed
    await harness.execute("UPDATE trials SET score = score / 2 WHERE stage = 'screen'")
    expected = {"screen of round 1: results", "trials: list"}
    assert await disagreeing(harness, result) == expected


SCHEMA = "receipt: schema"
SOUND = {"check": 9, "model": "m", "prompt_version": 1, "agreed": 1000, "asked": 1000}


async def test_a_sentence_that_is_reworded_changes_no_proof(
    sick: HealingHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Screening, gates, releases, attribution and outcomes: no stored reason is a sentence."""
    result = await sick.heal()
    before = as_markdown(receipt_of(await sick.healing(result)))
    for code in wording.WORDING:
        monkeypatch.setitem(wording.WORDING, code, f"said otherwise, {code}")
    assert as_markdown(receipt_of(await sick.healing(result))) != before
    await agrees(sick, result, *ALL)


TAMPERING: list[tuple[tuple[str, ...], object, set[str]]] = [
    (("gates", "-1", "e_value"), 101.5, {"GATE: e-value"}),
    (("gates", "-1", "gains"), 9, {"GATE: gains and losses"}),
    (("gates", "-1", "lower"), 0.5, {"GATE: score difference"}),
    (("gates", "-1", "w_value"), 21.5, {"GATE: W"}),
    (("gates", "-1", "detectable"), 0.01, {"GATE: detectable difference"}),
    (("gates", "-1", "needed"), 300, {"GATE: second stage"}),
    (("gates", "-1", "affordable"), 200, {"GATE: second stage"}),
    (("gates", "-1", "tokens", "ratio"), 0.5, {"GATE: tokens"}),
    (("gates", "-1", "slices", "0", "finding"), "lost", {"GATE: slices"}),
    (("gates", "-1", "cases_run"), 8, {"GATE: stopping point"}),
    (("gates", "-1", "candidate_rate"), 0.99, {"GATE: rates"}),
    (("gates", "-1", "incumbent_rate"), 0.3, {"GATE: rates", "release: plan"}),
    (("gates", "-1", "reason"), because("enough_pairs"), {"GATE: verdict", "WINNER: fate"}),
    (("gates", "-1", "pair_results", "0", "e_value"), 3, {"GATE: order of pairs"}),
    (("gates", "-1", "reason", "values", "gains"), 99, {"GATE: verdict", "WINNER: fate"}),
    (("detection", "rule"), "change", {"detection: rule"}),
    (("detection", "reason"), because("no_run_passed", runs=9), {"detection: rule"}),
    (("detection", "e_value"), 5000, {"detection: e-value"}),
    (("detection", "failures"), 9, {"detection: runs"}),
    (("detection", "window"), 2,
     {"detection: window", "detection: failed runs that were read"}),
    (("detection", "usual_rate"), 0.1, {"detection: usual failure rate"}),
    (("detection", "outcomes"), "0001",
     {"detection: runs", "detection: e-value", "detection: window", "detection: rule",
      "detection: failed runs that were read"}),
    (("detection", "recent"), 0, {"detection: rule"}),
    (("detection", "before"), [3, 3], {"detection: usual failure rate", "detection: e-value",
                                       "detection: rule"}),
    (("failed_run_ids",), [], {"detection: failed runs that were read",
                               "failures: runs that did not fail"}),
    (("split", "fingerprint"), "0123456789abcdef", {"split: fingerprint"}),
    (("candidates", "0", "diff"), "--- nothing", {"candidate 1: diff"}),
    (("candidates", "0", "fate"), "forgotten", {"candidate 1: fate", SCHEMA}),
    (("candidates", "1", "fate"), "forgotten", {"candidate 2: fate", SCHEMA}),
    (("candidates", "2", "reason"), because("empty_prompt"), {"candidate 3: fate"}),
    (("candidates", "2", "reason"), "it was bad", {"candidate 3: fate", SCHEMA}),
    (("release", "rollout"), "manual", {"release: plan"}),
    (("release", "reason"), because("watched"), {"release: plan", "outcome: decision"}),
    (("to_version",), 1, {"release: release log"}),
    (("judge", "compared"), [SOUND], {"judge: anchor", "judge: verdict"}),
    (("judge", "drifted"), True, {"judge: verdict"}),
    (("judge", "agreed"), 3, {"judge: stored check"}),
    (("failures", "0", "cause"), "plan_unusable",
     {"failures: causes", "attribution: causes of the failures"}),
    (("failures", "0", "judged"), True, {"failures: causes"}),
    (("findings", "attribution", "evidence", "causes"), {"plan_unusable": 3},
     {"attribution: causes of the failures", "attribution: agent"}),
    (("model_calls",), 3, {"cost: model calls"}),
    (("output_tokens",), 3, {"cost: output tokens"}),
    (("costs", "0", "calls"), 3, {"cost: by state"}),
    (("incumbent", "version"), 1,
     {"incumbent: text", "EACH: diff"}),
    (("candidates", "UNTESTED", "text"), "Read https://example.com first.",
     {"OTHER: text", "OTHER: diff", "OTHER: fate"}),
    (("findings", "attribution", "reason"), because("watched"), {"attribution: agent"}),
    (("screens", "0", "survivor"), 9, {"screen of round 1: survivor", "edits", "gates: candidate"}),
    (("outcome",), "rejected", {"outcome: decision", "outcome: stored outcome"}),
    (("edit_tests", "0", "slip"), 0.3, {"edits of TESTED: slip"}),
    (("edit_tests", "0", "cases", "0"), "run:0", {"edits of TESTED: cases"}),
    (("edit_tests", "0", "arms"), 1, {"edits of TESTED: arms"}),
    (("edit_tests", "0", "removed"), [], {"edits of TESTED: removed", "TESTED: fate"}),
    (("edit_tests", "0", "proofs", "0", "failed"), 99, {"edits of TESTED: proofs"}),
    (("edit_tests", "0", "exempt"), ["Obey."], {"edits of TESTED: exempt sentences of no version"}),
    (("edit_tests", "0", "held"), because("watched"),
     {"edits of TESTED: held", "release: plan"}),
]  # fmt: skip


async def test_what_was_tampered_with_shows_as_that_and_nothing_else(
    healed: tuple[HealingHarness, Result, str],
) -> None:
    harness, result, gate = healed
    whole = await harness.receipt(result)
    winner = f"candidate {gate.rpartition(' ')[2]}"
    tested = f"candidate {whole['edit_tests'][0]['ordinal']}"
    written = [each["ordinal"] for each in whole["candidates"] if each["origin"] == "writer"]
    other = next(each for each in written if f"candidate {each}" != tested)
    for path, value, what in TAMPERING:
        place = [part.replace("UNTESTED", str(other - 1)) for part in path]
        await tampered(harness, *place, value=value)
        names = [("GATE", gate), ("WINNER", winner), ("TESTED", tested)]
        names.append(("OTHER", f"candidate {other}"))
        every = [f"candidate {each['ordinal']}" for each in whole["candidates"]]
        expected = {
            functools.reduce(lambda name, by: name.replace(*by), [*names, ("EACH", each)], name)
            for name in what
            for each in every
        }
        found = await disagreeing(harness, result)
        if path[-1] == "survivor":  # it may have outranked the other one
            found -= {f"candidate {other}: fate"}
        assert found == expected, path
        await restored(harness, whole)
    for hole in ("gates", "judge", "split", "candidates", "trials", "costs", "release"):
        await harness.execute("UPDATE healings SET receipt = receipt - %(key)s", key=hole)
        assert await disagreeing(harness, result), hole
        await restored(harness, whole)
    assert await disagreeing(harness, result) == set()


async def restored(harness: HealingHarness, whole: dict[str, Any]) -> None:
    await harness.execute("UPDATE healings SET receipt = %(whole)s", whole=Jsonb(whole))


@pytest.mark.chaos
async def test_a_case_that_is_moved_to_another_side_shows(
    healed: tuple[HealingHarness, Result, str],
) -> None:
    harness, result, _ = healed
    split = (await harness.receipt(result))["split"]
    await tampered(harness, "split", "hold_out", value=[*split["train"], *split["hold_out"]])
    found = await disagreeing(harness, result)
    assert {"split: fingerprint", "split: cases in two sets"} <= found


async def test_the_command_replays(
    healed: tuple[HealingHarness, Result, str], service_env: dict[str, str]
) -> None:
    harness, result, gate = healed
    show = selfheal("healings", "show", result["healing_id"])
    code, out, err = await finished(*show, "--replay", env=service_env)
    assert (code, err, "DISAGREES" in out) == (0, "", False)
    assert out.strip().splitlines()[-1].endswith("agree.")
    code, story, _ = await finished(*show, "--markdown", env=service_env)
    assert (code, story) == (0, (await finished(*show, env=service_env))[1])
    await tampered(harness, "gates", "-1", "e_value", value=99.5)
    code, out, err = await finished(*show, "--replay", env=service_env)
    assert (code, err.count("\n")) == (1, 1)
    assert f"disagree: {gate}: e-value" in err
    assert "99.5" in out
    code, out, _ = await finished(*show, "--replay", "--json", env=service_env)
    wrong = [each["what"] for each in json.loads(out) if not each["agrees"]]
    assert (code, wrong) == (1, [f"{gate}: e-value"])
    code, _, err = await finished(*show, "--json", "--markdown", env=service_env)
    assert (code, "--markdown" in err) == (2, True)
    unknown = selfheal("healings", "show", str(uuid4()), "--replay")
    assert (await finished(*unknown, env=service_env))[0] == 2
