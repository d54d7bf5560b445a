"""Golden requests of the operator: stored, refused if they are no evidence, used by gates."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.harness.healing import KNOWN, defect, open_healing_harness
from bench.harness.processes import finished, selfheal
from selfheal.db.pool import Database
from selfheal.optimizer.dataset.cases import golden_requests

VAT: dict[str, Any] = {
    "id": "vat",
    "request": "Write vat(net) that returns 19 % of a net price, rounded to cents.",
    "examples": [
        {"call": "vat(100)", "returns": "19.0"},
        {"call": "vat(-1)", "raises": "ValueError"},
    ],
}


@pytest.fixture
def said(service_env: dict[str, str], tmp_path: Path) -> Any:
    async def say(*words: str, lines: list[Any] | None = None) -> tuple[int, str]:
        file = tmp_path / "own.jsonl"
        if lines is not None:
            file.write_text("\n".join(map(json.dumps, lines)))
            words = (*words, str(file))
        code, out, err = await finished(*selfheal("golden", *words), env=service_env)
        return code, out + err

    return say


async def test_own_requests_prove_candidates_until_they_are_removed(
    database: Database, gemini: str, said: Any
) -> None:
    assert (await said("add", lines=[VAT]))[0] == 0
    async with open_healing_harness(database) as harness:
        await harness.put_live(await defect(gemini, "hello-world"))
        await harness.run(*KNOWN[:3])
        receipt = await harness.receipt(await harness.heal())
        split = receipt["split"]
    assert "golden:own:vat" in [*split["hold_out"], *split["regression"]]
    assert "golden:own:vat" not in split["train"]
    assert "your request" in (await said("list", "--json"))[1]
    assert (await said("remove", "vat"))[0] == 0
    assert (await said("remove", "vat"))[0] == 2


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"id": "no/slash"}, "line 2: id"),
        ({"id": "twin"}, "a near-duplicate of golden:own:vat"),
        (
            {"id": "known", "request": golden_requests()[0]["request"]},
            "a near-duplicate of golden:",
        ),
    ],
)
async def test_a_wrong_line_keeps_all_of_them_out(
    database: Database, said: Any, wrong: dict[str, Any], words: str
) -> None:
    code, output = await said("add", lines=[VAT, {**VAT, **wrong}])
    assert (code, words in output) == (2, True), output
    async with database.connection() as connection:
        row = await (
            await connection.execute("SELECT count(*) AS n FROM golden_requests")
        ).fetchone()
    assert row is not None
    assert row["n"] == 0
