"""The golden requests: enough of them, and each distinguishes a solution from an empty body."""

import ast
import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from selfheal.graph.rules.checks import run_checks
from selfheal.graph.sandbox.protocol import Sandbox
from selfheal.graph.sandbox.selection import open_sandbox
from selfheal.graph.state import Plan, PlannedExample
from selfheal.optimizer.dataset.cases import golden_requests
from selfheal.optimizer.dataset.split import clusters
from selfheal.optimizer.records.cases import Case
from selfheal.optimizer.text.similarity import word_ngrams
from selfheal.server.demo.measure import requests as demo_requests
from selfheal.simulator.bank import load_bank
from selfheal.simulator.tasks import Task


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with open_sandbox() as found:
        if found.name == "static":
            pytest.skip("no sandbox works here")
        yield found


def task_of(case: Case) -> Task:
    return load_bank().tasks[case["id"].removeprefix("golden:")]


def plan_of(case: Case, signature: str) -> Plan:
    stated = [PlannedExample(**each, origin="stated") for each in case["examples"]]
    return Plan(title="t", requirements=["r"], signature=signature, examples=stated)


def emptied(task: Task) -> str:
    """Return the solution with the bodies of all functions removed."""
    tree = ast.parse(task.solution)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [ast.Pass()]
    return ast.unparse(tree)


async def failing(case: Case, code: str, sandbox: Sandbox) -> list[str]:
    """Return why code may not pass, by the deterministic checks alone."""
    facts = await run_checks(code, plan_of(case, f"def {task_of(case).name}()"), sandbox)
    assert facts.execution.status != "not_run"
    return facts.vetoes


async def each_one(codes: dict[str, str], sandbox: Sandbox) -> dict[str, list[str]]:
    """Judge the golden requests two at a time: the machine may have no more cores."""
    places = asyncio.Semaphore(2)

    async def one(case: Case) -> tuple[str, list[str]]:
        async with places:
            return case["id"], await failing(case, codes[case["id"]], sandbox)

    return dict(await asyncio.gather(*map(one, golden_requests())))


def test_there_are_enough_and_each_is_there_once() -> None:
    golden = golden_requests()
    assert len(golden) >= 240
    assert max(Counter(each["id"] for each in golden).values()) == 1
    assert max(Counter(each["request"] for each in golden).values()) == 1
    assert all(each["source"] == "golden" for each in golden)


def test_the_kinds_are_slices_of_about_the_same_size() -> None:
    kinds = Counter(case["kind"] for case in golden_requests())
    assert len(kinds) == 12
    assert max(kinds.values()) - min(kinds.values()) <= 2


def test_none_is_related_to_another() -> None:
    """A related one would not be a case of its own, but a part of a cluster."""
    together = [[each["id"] for each in one] for one in clusters(golden_requests()) if len(one) > 1]
    assert together == []


def _is_large(call: str) -> bool:
    """Tell whether a call builds more than 100 elements, with `* n` or `range(n)`."""
    sizes = re.findall(r"(?:\* |range\((?:-?\d+, )?)(\d+)", call)
    return any(int(size) > 100 for size in sizes)


def test_many_have_a_large_input_and_some_an_unusual_one() -> None:
    """Else no gate could see a rule about long lists, accented names or other alphabets."""
    calls = {each["id"]: [row["call"] for row in each["examples"]] for each in golden_requests()}
    large = [name for name, texts in calls.items() if any(map(_is_large, texts))]
    foreign = [name for name, texts in calls.items() if not "".join(texts).isascii()]
    assert len(large) >= 60
    assert len(foreign) >= 40


@pytest.mark.parametrize("case", golden_requests(), ids=lambda case: case["id"])
def test_each_has_four_examples_that_can_be_executed(case: Case) -> None:
    assert len(case["examples"]) >= 4
    assert len({each["call"] for each in case["examples"]}) == len(case["examples"])
    for each in case["examples"]:
        ast.parse(each["call"], mode="eval")
        assert ("returns" in each) != ("raises" in each)
        if "returns" in each:
            ast.literal_eval(each["returns"])
        else:
            assert each["raises"].isidentifier()


async def test_sound_code_holds_every_one(sandbox: Sandbox) -> None:
    found = await each_one(
        {each["id"]: task_of(each).solution for each in golden_requests()}, sandbox
    )
    assert {name: why for name, why in found.items() if why} == {}


async def test_an_empty_body_breaks_every_one(sandbox: Sandbox) -> None:
    found = await each_one(
        {each["id"]: emptied(task_of(each)) for each in golden_requests()}, sandbox
    )
    assert [name for name, why in found.items() if not why] == []


def test_requests_of_the_demo_are_not_golden() -> None:
    """Not the same words, nor eight of them in a row."""
    golden = set().union(*(word_ngrams(each["request"], 8) for each in golden_requests()))
    asked = [*demo_requests("known"), *demo_requests("unseen")]
    assert len(asked) >= 25
    for each in asked:
        assert not word_ngrams(each["request"], 8) & golden
