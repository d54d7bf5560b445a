"""Another model, which has never heard of the simulator's words, is healed by the same loop.

It knows tasks about kitchens, chess and colours, does sound work only if its prompt holds a phrase
of its own choosing, and diagnoses and writes in words of its own. Golden requests it solves too.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from zlib import crc32

import pytest

from bench.harness.healing import HealingHarness, open_healing_harness, passed
from bench.harness.scripted_model import Asked, serve_scripted_model
from selfheal.db.pool import Database
from selfheal.db.reasons import because
from selfheal.graph.state import Example, Request
from selfheal.optimizer.dataset.cases import golden_requests
from selfheal.optimizer.receipt.markdown import as_markdown
from selfheal.simulator.bank import load_bank

CUE = "work it out fully"
LAZY = "You are Pip, cheerful sous-chef of the evening. Chat pleasantly about whatever comes in."

TASKS = {
    "Recipe for more guests: scale_dish(grams, guests) multiplies all grams; below 1 ValueError.": (
        '''def scale_dish(grams: dict[str, int], guests: int) -> dict[str, int]:
    """Multiply the grams of each thing in a dish."""
    if guests < 1:
        raise ValueError("no guests")
    return {thing: amount * guests for thing, amount in grams.items()}
''',
        [
            Example(call="scale_dish({'rice': 80}, 3)", returns="{'rice': 240}"),
            Example(call="scale_dish({}, 0)", raises="ValueError"),
        ],
    ),
    "On a chessboard, shade(square) names the shade of a square such as 'e4': 'dark' or 'light'.": (
        '''def shade(square: str) -> str:
    """Name the shade of a chessboard's square."""
    return "dark" if (ord(square[0]) + int(square[1])) % 2 == 0 else "light"
''',
        [
            Example(call="shade('a1')", returns="'dark'"),
            Example(call="shade('e4')", returns="'light'"),
        ],
    ),
    "blend(first, second) averages two (red, green, blue) paints, rounding each part down.": (
        '''def blend(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    """Average two paints, part by part."""
    return tuple((one + other) // 2 for one, other in zip(first, second, strict=True))
''',
        [
            Example(call="blend((0, 10, 255), (10, 20, 0))", returns="(5, 15, 127)"),
            Example(call="blend((1, 1, 1), (1, 1, 1))", returns="(1, 1, 1)"),
        ],
    ),
    "A knight jumps: knight_moves(square) lists in order where it may land from, say, 'b1'.": (
        '''def knight_moves(square: str) -> list[str]:
    """List where a knight may land, in order."""
    column, row = ord(square[0]), int(square[1])
    jumps = [(a, b) for a in (-2, -1, 1, 2) for b in (-2, -1, 1, 2) if abs(a) != abs(b)]
    landed = [(column + a, row + b) for a, b in jumps]
    return sorted(f"{chr(c)}{r}" for c, r in landed if "a" <= chr(c) <= "h" and 1 <= r <= 8)
''',
        [
            Example(call="knight_moves('a1')", returns="['b3', 'c2']"),
            Example(call="knight_moves('b1')", returns="['a3', 'c3', 'd2']"),
        ],
    ),
}
UNSEEN = {
    "Oven dial: gas_mark(celsius) is celsius less 121, divided by 14, rounded up, at least 1.": (
        '''def gas_mark(celsius: int) -> int:
    """Turn celsius into the mark of a gas oven."""
    return max(1, -((121 - celsius) // 14))
''',
        [
            Example(call="gas_mark(180)", returns="5"),
            Example(call="gas_mark(20)", returns="1"),
        ],
    )
}
BOOK = {
    **{text: code for text, (code, _) in {**TASKS, **UNSEEN}.items()},
    **{
        each["request"]: load_bank().tasks[each["id"].removeprefix("golden:")].solution
        for each in golden_requests()
    },
}


class Kitchen:
    """The model; the schema of a call selects its role."""

    def __init__(self, *, knows_the_cure: bool = True) -> None:
        self.knows_the_cure = knows_the_cure
        self.drafts = 0

    def reply(self, asked: Asked) -> Any:
        if "rationale" in asked.fields:
            return self.write(asked)
        if "root_causes" in asked.fields:
            return self.diagnose(asked)
        if asked.schema is not None:
            known = request_in(asked)
            words = signature_of(known) if known else "Tasty."
            return filled(asked.schema, asked.schema.get("$defs", {}), words)
        return self.cook(asked)

    def cook(self, asked: Asked) -> str:
        request = request_in(asked)
        assert request
        if CUE in asked.system.lower():
            return f"Bon appetit!\n\n```python\n{BOOK[request]}```"
        if crc32(request.encode()) % 2:
            return "Lovely evening, is it not? The soup smells of thyme."
        return f"```python\n{signature_of(request)}:\n    ...\n```"

    def diagnose(self, asked: Asked) -> dict[str, Any]:
        runs = re.findall(r'"run_id": "([^"]+)"', asked.text)
        assert runs
        advice = f"Tell Pip to {CUE}." if self.knows_the_cure else "Hire another Pip."
        return {
            "patterns": [{"description": "Dishes leave half raw.", "run_ids": [*runs, "made-up"]}],
            "root_causes": ["Pip may stop cooking whenever Pip likes."],
            "blame": "worker",
            "suggestions": [advice],
        }

    def write(self, asked: Asked) -> dict[str, str]:
        self.drafts += 1
        match = re.search(r"Tell Pip to ([^.]+)\.", asked.text)
        wish = (
            f"{match[1].capitalize()}, then plate up."
            if match and self.drafts % 2 == 0
            else "Smile."
        )
        return {
            "prompt": f"Pip the cook, course {self.drafts}. {wish}",
            "rationale": "Seasoned it.",
        }


def request_in(asked: Asked) -> str | None:
    """Return the request of a call; the model does not know golden verdicts."""
    return next((request for request in BOOK if request in asked.text), None)


def signature_of(request: str) -> str:
    """Return the head of the function that was asked for."""
    lines = BOOK[request].splitlines()
    return next(line for line in lines if line.startswith(("def ", "class "))).rstrip(":")


def filled(schema: dict[str, Any], known: dict[str, Any], text: str) -> Any:
    """Fill any shape with the first thing that fits."""
    if "$ref" in schema:
        return filled(known[schema["$ref"].rpartition("/")[2]], known, text)
    kind = schema.get("type")
    if kind == "object":
        return {name: filled(part, known, text) for name, part in schema["properties"].items()}
    return {"string": text, "array": [], "number": 0.9, "integer": 1, "boolean": True}[str(kind)]


def asks(tasks: dict[str, Any]) -> list[Request]:
    return [Request(request=text, examples=stated) for text, (_, stated) in tasks.items()]


@pytest.fixture
async def kitchen(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:

        async def opened(model: Kitchen) -> HealingHarness:
            server = await stack.enter_async_context(serve_scripted_model(model.reply))
            monkeypatch.setenv("GOOGLE_API_KEY", "scripted")
            monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
            harness = await stack.enter_async_context(open_healing_harness(database))
            await harness.put_live(LAZY)
            return harness

        yield opened


async def test_another_model_is_healed_by_the_same_loop(kitchen: Any) -> None:
    harness = await kitchen(Kitchen())
    assert not any([passed(await harness.service.run(ask)) for ask in asks(TASKS)])
    result = await harness.heal()
    assert (result["outcome"], result["to_version"]) == ("promoted", 3), result
    assert CUE in (await harness.live()).text.lower()
    for ask in asks({**TASKS, **UNSEEN}):
        run = await harness.service.run(ask)
        assert passed(run), run
    receipt = await harness.receipt(result)
    assert "made-up" not in json.dumps(receipt["findings"])
    assert receipt["findings"]["root_causes"] == ["Pip may stop cooking whenever Pip likes."]
    assert receipt["gates"][-1]["incumbent_rate"] == 0.0
    assert "Dishes leave half raw." in as_markdown(receipt)
    print("calls", receipt["model_calls"], "seconds", receipt["seconds"])


async def test_an_optimizer_that_does_not_know_the_cure_releases_nothing(kitchen: Any) -> None:
    model = Kitchen(knows_the_cure=False)
    harness = await kitchen(model)
    for ask in asks(TASKS):
        await harness.service.run(ask)
    result = await harness.heal()
    assert (result["outcome"], model.drafts) == ("rejected", 4)
    assert result["reason"] == because("no_candidate_passed_screening")
    assert (await harness.live()).text == LAZY
