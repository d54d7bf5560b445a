"""The rules of fact, each shown what it must see and what it must let pass."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from selfheal.app.judge import Judgement
from selfheal.app.llm.usage import Usage
from selfheal.graph.rules import linter
from selfheal.graph.rules.checks import CheckResults, execution_findings, run_checks
from selfheal.graph.rules.equality import same
from selfheal.graph.rules.examples import answers, ask
from selfheal.graph.rules.linter import lint
from selfheal.graph.rules.static_checks import observations
from selfheal.graph.rules.static_runner import SHORT, defined_name, read
from selfheal.graph.rules.weights import WEIGHTS, Finding
from selfheal.graph.sandbox.protocol import (
    DEFAULT_LIMITS,
    CallResult,
    Execution,
    Limits,
    Program,
    Sandbox,
)
from selfheal.graph.sandbox.selection import StaticSandbox, open_sandbox
from selfheal.graph.sandbox.values import UNDECODABLE
from selfheal.graph.scoring import Grading, verdict
from selfheal.graph.state import Plan, PlannedExample

OK = Execution("test", "ok", "", 0.0, "", ())


def plan(signature: str = "def f() -> int", *examples: PlannedExample) -> Plan:
    return Plan(title="", requirements=[], signature=signature, examples=list(examples))


def findings(code: str, wanted: str = "f") -> dict[str, Finding]:
    seen = observations(code, wanted)
    return {name: Finding(name, score, words, veto=veto) for name, score, words, veto in seen}


@pytest.mark.parametrize(
    ("signature", "name"),
    [
        ("def add(a: int) -> int", "add"),
        ("async def go()", "go"),
        ("class Stack:", "Stack"),
        ("add(a, b)", "add"),
        ("", None),
        ("a function that adds", None),
    ],
)
def test_the_defined_name_is_read_off_the_signature(signature: str, name: str | None) -> None:
    assert defined_name(signature) == name


@pytest.mark.parametrize("code", ["def f(:", "x = (", "\0", "(" * 5000, "-" * 9000 + "1"])
def test_what_does_not_parse_never_passes(code: str) -> None:
    assert [(name, veto) for name, _, _, veto in observations(code, "f")] == [("parses", True)]


@pytest.fixture(scope="session")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with open_sandbox() as chosen:
        if chosen.name == "static":
            pytest.skip("NOT TESTED: no sandbox works here")
        yield chosen


async def test_long_code_is_read_where_it_can_do_no_harm(sandbox: Sandbox) -> None:
    code = "def f() -> int:\n    return 1\n" + "x = 'a'\n" * 3000
    assert len(code) > SHORT
    elsewhere = await read(code, "def f() -> int", sandbox)
    assert elsewhere == await read(code, "def f() -> int", StaticSandbox("not executed"))
    assert {each.name: each.score for each in elsewhere} == {
        "parses": 1, "defines": 1, "placeholders": 1, "documented": 0, "typed": 1,
    }  # fmt: skip


async def test_names_as_long_as_the_program_break_nothing(sandbox: Sandbox) -> None:
    code = f"def {'x' * 300_000}(a):\n    return undefined\n"
    found = [*(await read(code, "def f()", sandbox)), await lint(code)]
    assert {each.name for each in found if each} >= {"parses", "documented", "typed", "linter"}
    assert all(len(each.detail) < 1000 for each in found if each)


async def test_whatever_the_linter_prints_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for printed in (b"", b"{}", b"[1]", b"[{}]", b"null", b"5", b'[{"location": null}]', b"\xff"):

        async def ruff(_: str, output: bytes = printed) -> bytes:
            return output

        monkeypatch.setattr(linter, "_ruff", ruff)
        found = await lint("x = 1\n")
        assert found is None or found.score == 1


@pytest.mark.parametrize(
    "value", [UNDECODABLE, [], [1], [("parses",)], [("parses", 1, "", False)], {}, None, "parses"]
)
async def test_an_answer_that_cannot_be_read_is_a_veto(value: object) -> None:
    class Broken(StaticSandbox):
        async def run(self, program: Program, limits: Limits = DEFAULT_LIMITS) -> Execution:
            return Execution("test", "ok", "", 0.0, "", (CallResult("", value, None, ""),))

    found = await read("x = 1\n" * SHORT, "def f()", Broken(""))
    assert [(each.name, each.veto) for each in found] == [("parses", True)]


@pytest.mark.parametrize(
    "code", ["f'" + "{a}" * 80_000 + "'", "a;" * 200_000, "(" * 300_000, "x" * 600_000]
)
async def test_no_text_keeps_the_service_busy(sandbox: Sandbox, code: str) -> None:
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - began)

    watching = asyncio.create_task(watch())
    found = (await read(code, "def f()", sandbox))[0]
    watching.cancel()
    assert found.name == "parses"
    assert found.veto or code[0] in "fa"
    assert longest < 1.5  # read here, it would be many seconds


@pytest.mark.parametrize(
    "code", ["def f(): return 1", "class f: pass", "f = len", "from os import f"]
)
def test_a_name_may_be_defined_in_any_way(code: str) -> None:
    assert findings(code)["defines"].score == 1


def test_another_name_is_not_what_was_asked() -> None:
    assert findings("def g(): return 1")["defines"].score == 0


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    pass",
        "def f():\n    ...",
        'def f():\n    """Do it."""',
        "def f():\n    raise NotImplementedError('later')",
        "def f():\n    return 1  # TODO: do it",
        "def f():\n    # your code here\n    return 1",
    ],
)
def test_placeholders_are_seen(code: str) -> None:
    assert findings(code)["placeholders"].score == 0


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    return None",
        "class E(ValueError):\n    pass",
        "from typing import Protocol\nclass P(Protocol):\n    def f(self): ...",
        "import abc\nclass A(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...",
        "def f():\n    return 'TODO list'",
    ],
)
def test_what_is_no_placeholder_is_let_pass(code: str) -> None:
    assert findings(code)["placeholders"].score == 1


def test_documentation_and_types_are_shares() -> None:
    code = 'def f(a: int) -> int:\n    """Do."""\n    return a\ndef g(a):\n    return a\n'
    assert findings(code)["documented"].score == 0.5
    assert findings(code)["typed"].score == 0.5


@pytest.mark.parametrize(
    ("expected", "actual", "equal"),
    [
        (1, 1, True),
        (1, True, False),
        (1, 1.0, False),
        (0.1 + 0.2, 0.3, True),
        (0.3, 0.31, False),
        (float("nan"), float("nan"), True),
        ([1, (2, 3)], [1, (2, 3)], True),
        ([1], (1,), False),
        ({"a": [1.0]}, {"a": [1.0 + 1e-15]}, True),
        ({1: "x"}, {True: "x"}, False),
        ({1, 2}, {2, 1}, True),
        ({1, 2}, {1, 3}, False),
        ({1}, {10**5000}, False),
        ({10**5000, 1}, {1, 10**5000}, True),
        ([{(10**5000,)}], [{(10**5000 + 1,)}], False),
        (None, None, True),
        ("1", 1, False),
        (b"a", bytearray(b"a"), False),
    ],
)
def test_values_are_compared_by_type_and_value(expected: Any, actual: Any, equal: bool) -> None:
    assert same(expected, actual) is equal


def seen_of(example: PlannedExample, *results: CallResult) -> dict[str, Finding]:
    execution = Execution("test", "ok", "", 0.0, "", results)
    found = answers(ask(plan("def f()", example)), execution)
    return {each.name: each for each in execution_findings(execution, found)}


def held(result: CallResult, **example: Any) -> Finding:
    planned = cast("PlannedExample", {"call": "f()", "origin": "stated", **example})
    return seen_of(planned, result)["examples"]


def test_a_stated_example_that_is_broken_forbids_a_pass() -> None:
    broken = held(CallResult("f()", 2, None, ""), returns="1")
    assert (broken.score, broken.veto) == (0, True)
    assert broken.detail == "f() returned 2, not 1"


@pytest.mark.parametrize("returns", ["[1", "f()", ""])
def test_an_example_that_cannot_be_compared_is_broken(returns: str) -> None:
    assert held(CallResult("f()", 2, None, ""), returns=returns).veto


@pytest.mark.parametrize(
    ("raised", "matched"),
    [
        ("JSONDecodeError ValueError Exception", "JSONDecodeError ValueError Exception"),
        ("KeyError LookupError Exception", "KeyError LookupError Exception BaseException"),
        ("PermissionError OSError Exception", "PermissionError OSError IOError Exception"),
        ("A B C KeyError LookupError Exception", "A B KeyError LookupError Exception"),
        # The nearest built-in exception counts, and what descends from it in Python.
        ("Mine ValueError KeyError LookupError Exception", "Mine ValueError Exception"),
        ("Both KeyError UnicodeDecodeError UnicodeError ValueError", "Both KeyError LookupError"),
        ("ValueError KeyError TypeError", ""),
        ("Every A B C D Exception", "Every A Exception"),
        ("ValueError KeyError", "ValueError"),
        ("__program__.ValueError Exception", "Exception"),
    ],
)
def test_an_exception_is_matched_by_few_names(raised: str, matched: str) -> None:
    result = CallResult("f()", None, tuple(raised.split()), "bad")
    names = {*raised.split(), *matched.split(), "IndexError", "LookupError", "ValueError"}
    plain = {name for name in names if "__program__" not in name}
    assert {name for name in plain if held(result, raises=name).score == 1} == set(matched.split())


def test_the_module_of_an_exception_does_not_matter() -> None:
    raised = CallResult("f()", None, ("JSONDecodeError", "ValueError"), "bad")
    assert held(raised, raises="json.JSONDecodeError").score == 1


def test_an_inferred_example_only_counts() -> None:
    inferred = PlannedExample(call="f()", returns="1", origin="inferred")
    seen = seen_of(inferred, CallResult("f()", 2, None, ""))
    assert seen["inferred_examples"].score == 0
    assert not seen["inferred_examples"].veto


def test_what_was_not_run_has_no_rules_of_execution() -> None:
    not_run = Execution("static", "not_run", "no sandbox", 0.0, "", ())
    assert list(execution_findings(not_run, ())) == []


async def test_the_linter_sees_errors_and_no_taste() -> None:
    wrong = await lint("def f():\n    return undefined_name\n")
    assert wrong is not None
    assert wrong.score < 1
    assert "undefined_name" in wrong.detail
    ugly = await lint("import os\nx=1;y=2\n")
    assert ugly is not None
    assert ugly.score == 1


FAULTY = """def f(x=[]) -> int:
    try:
        return undefined
    except:
        return 1
"""


@pytest.mark.parametrize(
    "excuse",
    [
        "# ruff: noqa", "# ruff: noqa: B006, E722, F821", "# flake8: noqa", "# noqa",
        "# ruff: disable[B006, E722, F821]", "# ruff: file-ignore[B006, E722, F821]",
        "# ruff: ignore[B006]", "# type: ignore", "# mypy: ignore-errors", "# pylint: skip-file",
        "# pyright: basic", "# fmt: off", "# isort: skip_file", "# yapf: disable", "#!ruff: noqa",
        "# /// script\n# [tool.ruff.lint]\n# ignore = ['B006', 'E722', 'F821']\n# ///",
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["above", "on each line", "below"])
async def test_no_comment_excuses_a_program_from_the_linter(excuse: str, where: str) -> None:
    if where == "on each line":
        code = "".join(f"{line}  {excuse}\n".splitlines()[0] + "\n" for line in FAULTY.splitlines())
    else:
        code = f"{excuse}\n{FAULTY}" if where == "above" else f"{FAULTY}\n{excuse}\n"
    found = await lint(code)
    assert found is not None
    assert found.score == 0.25


async def test_no_configuration_nearby_excuses_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ruff.toml").write_text("[lint]\nignore = ['B006', 'E722', 'F821']\n")
    monkeypatch.chdir(tmp_path)
    found = await lint(FAULTY)
    assert found is not None
    assert found.score == 0.25


def facts(*found: Finding) -> CheckResults:
    return CheckResults(found, OK)


def judged(score: float, *reasons: str) -> Judgement:
    return Judgement(score, list(reasons), Usage(calls=1, input_tokens=0, output_tokens=0))


def test_weights_sum_to_one() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1)


def test_rules_have_40_and_the_judge_60_percent() -> None:
    whole = facts(Finding("parses", 1.0), Finding("linter", 1.0), Finding("runs", 1.0))
    seen = verdict(whole, judged(0.7, "so so"), Grading())
    assert seen["score"] == pytest.approx(0.4 * 1.0 + 0.6 * 0.7)
    assert seen["passed"]
    assert seen["reasons"] == ["so so"]


def test_facts_veto_whatever_the_judge_says() -> None:
    broken = facts(Finding("parses", 1.0), Finding("runs", 0.0, "ZeroDivisionError", veto=True))
    seen = verdict(broken, judged(1.0), Grading())
    assert not seen["passed"]
    assert seen["score"] < 0.6


def test_a_score_below_the_threshold_fails() -> None:
    assert not verdict(facts(Finding("parses", 1.0)), judged(0.2, "no"), Grading())["passed"]


def test_the_score_that_passes_is_the_one_that_is_shown() -> None:
    for tenths in range(11):
        for broken in (0.0, 0.5, 1.0):
            found = facts(Finding("parses", 1.0), Finding("inferred_examples", 1 - broken))
            seen = verdict(found, judged(tenths / 10), Grading())
            assert (seen["score"] >= 0.6) is seen["passed"]
    assert verdict(facts(Finding("parses", 1.0)), judged(0.6), Grading())["passed"]


@pytest.mark.parametrize(
    ("broken", "mark", "passed"),
    [
        (0.0, 0.334, False), (0.0, 0.59, False), (0.0, 0.6, True),
        (0.5, 0.6, False), (0.5, 0.69, False), (0.5, 0.7, True),
        (1.0, 0.79, False), (1.0, 0.8, True),
    ],
)  # fmt: skip
def test_the_judges_own_mark_must_pass_and_broken_inferred_examples_weigh_against(
    broken: float, mark: float, passed: bool
) -> None:
    found = facts(*(Finding(name, 1.0) for name in WEIGHTS if name != "examples"))
    if broken:
        rest = [each for each in found.findings if each.name != "inferred_examples"]
        found = facts(*rest, Finding("inferred_examples", 1 - broken))
    seen = verdict(found, judged(mark, "why"), Grading())
    assert seen["passed"] is passed
    assert seen["reasons"][-1] == "why"
    assert len(seen["reasons"]) == 1 + (not passed)
    assert Grading().deciding(found, mark) >= 0.6 or not passed


def test_a_judge_without_weight_decides_nothing() -> None:
    alone = Grading(rule_weight=1.0)
    assert verdict(facts(Finding("parses", 1.0)), judged(0.0), alone)["passed"]


async def test_a_wrong_program_without_stated_examples_fails(sandbox: Sandbox) -> None:
    code = (
        'def is_leap_year(year: int) -> bool:\n    """Tell leap years."""\n    return bool(year)\n'
    )
    examples = [
        PlannedExample(call=f"is_leap_year({year})", returns=leap, origin="inferred")
        for year, leap in ((2000, "True"), (2024, "True"), (1900, "False"), (2023, "False"))
    ]
    found = await run_checks(code, plan("def is_leap_year(year: int) -> bool", *examples), sandbox)
    assert not found.vetoes
    assert found.inferred_broken == 0.5
    assert not verdict(found, judged(0.69), Grading())["passed"]
    unknown = await run_checks(code, plan("def is_leap_year(year: int) -> bool"), sandbox)
    assert not verdict(unknown, judged(0.583), Grading())["passed"]


async def test_an_example_that_only_the_program_can_decide_counts_as_inferred(
    sandbox: Sandbox,
) -> None:
    code = "def f(n):\n    return n * n\n"
    examples = [
        PlannedExample(call="eval('f(2) == 4')", returns="True", origin="stated"),
        PlannedExample(call="f(3)", returns="9", origin="stated"),
    ]
    found = await run_checks(code, plan("def f(n)", *examples), sandbox)
    seen = {each.name: each.score for each in found.findings}
    assert (seen["examples"], seen["inferred_examples"]) == (1, 1)
    wrong = await run_checks(code.replace("n * n", "9"), plan("def f(n)", *examples), sandbox)
    assert wrong.vetoes == ["examples: eval('f(2) == 4') returned False, not True"]


def test_the_documentation_shows_the_weights() -> None:
    text = (Path(__file__).parents[2] / "docs" / "verdict.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (0\.\d+) \|", text, re.MULTILINE)
    assert {name: float(weight) for name, weight in rows} == WEIGHTS
