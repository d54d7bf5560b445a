"""A new kind of request that golden cases do not ask: its repair is kept until it can be proven.

The model does other work well under any prompt. The new kind it does well only if its prompt holds
a phrase, which it knows to write.
"""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import pytest

from bench.harness.healing import HealingHarness, open_healing_harness, passed
from bench.harness.scripted_model import Asked, serve_scripted_model
from selfheal.db.pool import Database
from selfheal.graph.state import Example, Request
from selfheal.optimizer.dataset.cases import golden_requests
from selfheal.optimizer.nodes import sample
from selfheal.optimizer.receipt.markdown import as_markdown
from selfheal.optimizer.receipt.schema import receipt_of
from selfheal.optimizer.receipt.stored import read
from selfheal.optimizer.receipt.verify import verify
from selfheal.optimizer.state import Result
from selfheal.simulator.bank import load_bank
from tests.integration.test_other_stand_in import filled

LIVE = "Write the requested function in one block of code."
CUE = "scale every weight exactly"
NOUNS = (
    "anchor", "basket", "candle", "dagger", "engine", "fiddle", "garden", "hammer", "island",
    "jacket", "kettle", "ladder", "mirror", "needle", "orange", "pencil", "quiver", "ribbon",
    "saddle", "teapot",
)  # fmt: skip
FILLERS = (
    "rusty iron found deep below", "woven willow carried uphill", "slow burning tallow at dusk",
    "thin steel kept in leather", "loud diesel under the deck", "old maple with four strings",
    "green hedges behind a wall", "heavy head on ash wood", "far shore seen by sailors",
    "warm wool for winter walks", "copper bottom on the stove", "twelve rungs to the attic",
    "silver glass in the hallway", "fine point through linen", "sweet fruit from the south",
    "grey lead in cedar", "seven arrows of yew", "red silk around parcels",
    "brown hide for a pony", "blue china from grandmother",
)  # fmt: skip


def new_kind(place: int) -> Request:
    noun, words, factor = NOUNS[place], FILLERS[place], place + 2
    return Request(
        request=f"{noun}_weight(count): {words} — each {noun} weighs {factor}, give the total.",
        examples=[Example(call=f"{noun}_weight(3)", returns=str(3 * factor)),
                  Example(call=f"{noun}_weight(0)", returns="0")],
    )  # fmt: skip


NEW = {new_kind(place)["request"]: place for place in range(len(NOUNS))}
GOLDEN = {
    each["request"]: load_bank().tasks[each["id"].removeprefix("golden:")].solution
    for each in golden_requests()
}


class Scales:
    """The model; `spoilt`: new requests that it fails whatever its prompt says."""

    def __init__(self, *spoilt: int) -> None:
        self.spoilt = spoilt

    def reply(self, asked: Asked) -> Any:
        if "rationale" in asked.fields:
            known = CUE if CUE in asked.text else "be kind"
            return {"prompt": f"{LIVE} Always {known}.", "rationale": "As was found."}
        if "root_causes" in asked.fields:
            return {
                "patterns": [],
                "root_causes": ["The weights are not scaled."],
                "blame": "worker",
                "suggestions": [f"Ask it to {CUE}."],
            }
        if asked.schema is not None:
            return filled(asked.schema, asked.schema.get("$defs", {}), self.head(asked))
        return f"```python\n{self.code(asked)}```"

    def code(self, asked: Asked) -> str:
        solution = next((code for text, code in GOLDEN.items() if text in asked.text), None)
        if solution:
            return solution
        place = next(place for text, place in NEW.items() if text in asked.text)
        good = CUE in asked.system and place not in self.spoilt
        total = f"count * {place + 2}" if good else "count * 999 + 1"
        return f'{self.head(asked)}:\n    """Weigh."""\n    return {total}\n'

    def head(self, asked: Asked) -> str:
        if found := re.search(r"(\w+_weight)\(count\)", asked.text):
            return f"def {found[1]}(count)"
        solution = next((code for text, code in GOLDEN.items() if text in asked.text), "")
        lines = (line for line in solution.splitlines() if line.startswith(("def ", "class ")))
        return next(lines, "Weigh.").rstrip(":")


@pytest.fixture
async def opened(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    monkeypatch.setenv("SELFHEAL_ROLLOUT", "instant")
    monkeypatch.setattr(sample, "golden_requests", lambda: golden_requests()[:26])  # to be quick
    async with AsyncExitStack() as stack:

        async def open_with(model: Scales) -> HealingHarness:
            server = await stack.enter_async_context(serve_scripted_model(model.reply))
            monkeypatch.setenv("GOOGLE_API_KEY", "scripted")
            monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
            harness = await stack.enter_async_context(open_healing_harness(database))
            await harness.put_live(LIVE + " Briefly.")
            await harness.put_live(LIVE)
            return harness

        yield open_with


async def run(harness: HealingHarness, first: int, last: int) -> list[bool]:
    return [passed(await harness.service.run(new_kind(place))) for place in range(first, last)]


async def verified(harness: HealingHarness, result: Result) -> Any:
    """See that the receipt of a healing agrees with what is stored; return the receipt."""
    async with harness.database.connection() as connection:
        stored = await read(connection, UUID(result["healing_id"]))
    receipt = receipt_of(stored.healing)
    found = verify(receipt, stored)
    assert [each for each in found if not each.agrees] == []
    assert as_markdown(receipt)
    return receipt


async def disagreeing(harness: HealingHarness, result: Result, field: str, changed: Any) -> bool:
    """Tell whether verification finds a changed figure of the decision to keep a candidate."""
    async with harness.database.connection() as connection:
        stored = await read(connection, UUID(result["healing_id"]))
    receipt: Any = receipt_of(stored.healing)
    receipt["keeping"][-1][field] = changed
    wrong = [each.what for each in verify(receipt, stored) if not each.agrees]
    return any(each.startswith("keeping of candidate") for each in wrong)


async def test_a_repair_of_a_new_kind_is_kept_and_released_on_new_failures(opened: Any) -> None:
    harness = await opened(Scales())
    assert not any(await run(harness, 0, 4))
    kept = await harness.heal()
    assert kept["outcome"] == "collecting", kept
    receipt = await verified(harness, kept)
    assert receipt["keeping"][-1]["incumbent"] == [0, 4]
    assert (receipt["gates"][-1]["gains"], receipt["gates"][-1]["losses"]) == (0, 0)
    assert len(receipt["gates"]) == 1  # no other candidate could be proven here either
    print("calls of the first pass", receipt["model_calls"])
    for field, changed in (("incumbent", [1, 4]), ("kept", False), ("held_out", ["run:1"])):
        assert await disagreeing(harness, kept, field, changed)

    assert not any(await run(harness, 4, 9))  # too few to prove it
    waiting = await harness.heal()
    assert (waiting["outcome"], "healing_id" in waiting) == ("cooling_down", False)

    assert not any(await run(harness, 9, 14))
    released = await harness.heal()
    assert released["outcome"] == "promoted", released
    receipt = await verified(harness, released)
    first = receipt["candidates"][0]
    assert (len(receipt["candidates"]), first["origin"], first["round"]) == (1, "staged", 0)
    gate = receipt["gates"][-1]
    assert (gate["gains"], gate["losses"]) == (10, 0)
    assert any(each["case_id"].startswith("golden:") for each in gate["pair_results"])
    assert not {*receipt["split"]["train"]} & {*receipt["split"]["hold_out"]}
    assert CUE in (await harness.live()).text
    assert all(await run(harness, 14, 16))
    print("calls of the second pass", receipt["model_calls"])


async def test_the_evidence_of_several_passes_adds_up(opened: Any) -> None:
    """Two of ten new failures are not repaired: more decide, and none is run a second time."""
    harness = await opened(Scales(5, 6))
    await run(harness, 0, 4)
    assert (await harness.heal())["outcome"] == "collecting"
    await run(harness, 4, 14)
    second = await harness.heal()
    assert (second["outcome"], second["reason"]["code"]) == ("collecting", "collecting_more_cases")
    seen = (await verified(harness, second))["keeping"][-1]["held_out"]
    assert len(seen) == 4  # with two failures among them, six more could not prove it

    await run(harness, 14, 16)
    assert (await harness.heal())["outcome"] == "cooling_down"
    await run(harness, 16, 17)
    third = await harness.heal()
    assert third["outcome"] == "promoted", third
    receipt = await verified(harness, third)
    assert receipt["split"]["hold_out"][:4] == seen
    again = [each for each in receipt["trials"] if each["case_id"] in seen]
    assert len(again) == 8
    assert {each["calls"] for each in again} == {0}
    assert receipt["gates"][-1]["gains"] == 10


async def test_a_kept_candidate_that_does_not_help_is_given_up(opened: Any) -> None:
    harness = await opened(Scales(*range(4, 20)))
    await run(harness, 0, 4)
    assert (await harness.heal())["outcome"] == "collecting"
    await run(harness, 4, 14)
    result = await harness.heal()
    assert (result["outcome"], result["reason"]["code"]) == ("rejected", "kept_candidate_failed")
    receipt = await verified(harness, result)
    assert not receipt["keeping"][-1]["kept"]
    assert (await harness.live()).text == LIVE
    # It was no attempt at these failures: what counts is the time since the healing before it.
    await harness.execute(
        "UPDATE healings SET closed_at = closed_at - interval '61 minutes'"
        " WHERE outcome = 'collecting'"
    )
    again = await harness.heal()
    assert again["outcome"] != "cooling_down", again


async def test_a_good_version_goes_first_and_what_is_written_follows(opened: Any) -> None:
    """It does not help here: one gate is left, and the screening has not tried it."""
    harness = await opened(Scales())
    for each in golden_requests()[:5]:
        known = Request(request=each["request"], examples=each["examples"])
        assert passed(await harness.service.run(known))
    await harness.put_live(f"{LIVE} Quickly.")
    assert not any(await run(harness, 0, 4))
    result = await harness.heal(agent="worker")
    receipt = await verified(harness, result)
    first = receipt["candidates"][0]
    assert (first["origin"], first["round"], first["fate"]) == ("last_good", 0, "gate")
    assert {each["origin"] for each in receipt["candidates"][1:]} >= {"writer"}
    assert receipt["gates"][0]["ordinal"] == 1 != receipt["gates"][1]["ordinal"]
    assert all(each["ordinal"] != 1 for each in receipt["screens"][0]["results"])
    assert result["outcome"] == "collecting"
