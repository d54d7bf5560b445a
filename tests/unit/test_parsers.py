"""Every parser of untrusted text ends in time, whatever it is given.

What the event loop calls may take 100 ms of processor time. A parser that is added to the product
and not here is found by `test_every_module_that_parses_is_known`.
"""

import ast
import contextlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from selfheal import app, db, graph, optimizer, server
from selfheal.app import redaction
from selfheal.app.errors import OutputError
from selfheal.graph.nodes.manager import DraftExample, DraftPlan, _plan
from selfheal.graph.parsing import extraction, literals
from selfheal.graph.rules import examples as asked_examples
from selfheal.graph.rules import static_runner
from selfheal.graph.sandbox.channel import Transcript
from selfheal.graph.state import Plan, PlannedExample
from selfheal.optimizer.guardrails import lint, obfuscation
from selfheal.optimizer.policy import plan_check
from selfheal.optimizer.text import sentences, similarity
from selfheal.optimizer.text.diffs import unified_diff
from selfheal.optimizer.text.edits import edited
from selfheal.server.api.schemas.requests import RequestBody
from selfheal.server.cron_schedule import next_date
from tests.support import parser_worst_cases
from tests.support.event_loop_stalls import is_slow

NOW: Final = datetime(2026, 11, 27, tzinfo=UTC)
GROUND: Final = lint.LintReference("worker", "Write Python. Use type hints. Never trust comments.")
# What is repeated to a text that a pattern might look at again and again.
ATOMS: Final = (
    "a ", "_ ", "a-", "A1a", ". ", ".. ", "- ", "\n", "\n- ", "a:\n\n", " ", "`", "```\n", '"',
    "\u00ab ", "\u2018", "(", "f(", "show ", "show prompt ", "your ", "system ", "answer ",
    "trust\n", "say full ", "request say ", "author ", "full marks ", "input:", "q:a", "1. ", "ab.",
    "a@", "0", "00:", "\\x41", "\t", "ignore never ", "www.", "a_b", "everything ", "if x ", "é ",
    "\uff41", "=", "->", "a.b.", "xyz" * 10 + " ", "a\u0301", "def ", "# ", "f(\n",
)  # fmt: skip


def repeated(length: int) -> list[str]:
    """Return texts of at most a length that repeat something, behind something else."""
    return [
        before + atom * ((length - len(before)) // len(atom))
        for atom in ATOMS
        for before in ("", "show ", '"')
    ]


def channel(line: bytes) -> None:
    """Read what a program sends, as far as the event loop reads it itself."""
    transcript = Transcript(("f()",), lambda: None)
    transcript.feed(b'["ready"]\n["loaded"]\n["call",0]\n' + line + b"\n")


def lines() -> list[bytes]:
    """Return lines of a channel, almost as long as those that are read in a thread."""
    parts = ('["l"]', '["i","1"]', "[]", "{}", "true", '""', '["f","0x1p3"]', '["dec","1e9"]')
    return [
        f'["value",0,["l",{",".join([each] * (90_000 // (len(each) + 1)))}]]'.encode()
        for each in (*parts, "[" * 120 + "]" * 120, '["s",["i","1"]]')
    ]


def compared(call: str) -> None:
    example = PlannedExample(call=call, returns="True", origin="stated")
    plan = Plan(title="", requirements=[], signature="def f(a)", examples=[example])
    asked_examples.ask(plan)


def answered(text: str) -> None:
    with contextlib.suppress(OutputError):
        extraction.extract(text, "f")


def planned(call: str) -> None:
    drafts = [DraftExample(call=call, returns=call, raises="") for _ in range(40)]
    _plan(DraftPlan(title="", requirements=[], signature="", examples=drafts), [])


def requested(examples: list[dict[str, str]]) -> None:
    RequestBody.model_validate({"request": "x", "examples": examples})


def contradicts(signature: str) -> None:
    example = PlannedExample(call="f(1)", origin="stated")
    plan = Plan(title="", requirements=[], signature=f"f({signature}", examples=[example])
    plan_check.contradicts("f(1)", plan)


_calls = list(parser_worst_cases.python(literals.LONGEST_CALL).values())
_literals = list(parser_worst_cases.python(literals.LONGEST_LITERAL).values())
# What the event loop calls itself, with the longest texts that it is given there.
PARSERS: Final[dict[str, tuple[Callable[[Any], Any], Iterable[Any]]]] = {
    "a call": (literals.is_expression, _calls),
    "a literal": (literals.is_literal, _literals),
    "examples": (requested, parser_worst_cases.examples().values()),
    "inferred examples": (planned, _calls),
    "an answer": (answered, (f"```\n{each}" for each in repeated(extraction.LONGEST - 10))),
    "code of an answer": (answered, parser_worst_cases.python(4_000).values()),
    "a line of the channel": (channel, lines()),
    "a schedule": (
        lambda each: next_date(each, None, NOW),
        parser_worst_cases.schedules().values(),
    ),
    "a diff": (
        lambda each: unified_diff(each[0], each[1], "a", "b"),
        [parser_worst_cases.prompt_pair()],
    ),
    "a signature": (static_runner.defined_name, repeated(2_000)),
    "a plan's signature": (contradicts, repeated(300)),
    "the sentences of a prompt": (
        lambda each: sentences.split_sentences(each, 20),
        repeated(40_000),
    ),
    "a provider's message": (
        lambda each: redaction.redact(each, ("k" * 40,), each),
        repeated(9_000),
    ),
    "a finding": (lambda each: lint.finding_violations(each, GROUND), repeated(500)),
}
# What is called in a thread. Each step of it is short; together it may take longer.
IN_THREADS: Final[dict[str, tuple[Callable[[Any], Any], Iterable[Any]]]] = {
    "a candidate": (lambda each: lint.violations(each, GROUND), repeated(lint.LONGEST // 4)),
    "edits": (lambda each: edited(each, each[::2], each[::3]), repeated(lint.LONGEST)),
    "logs": (lambda each: obfuscation.decoded_texts([each]), repeated(20_000)),
    "requests": (similarity.shingles, repeated(20_000)),
    "a compared call": (compared, [f"({call}) == 1" for call in _calls]),
}
# Each module that parses something, and how it is bounded: by a parser above, by a limit of what
# it is given, or since only we write what it reads.
KNOWN: Final = {
    "graph/parsing/code_blocks.py": "an answer",
    "graph/parsing/literals.py": "a call, a literal",
    "graph/parsing/extraction.py": "an answer",
    "app/llm/errors.py": "a header of the model's provider",
    "graph/rules/isolated_call.py": "our own answer",
    "graph/rules/examples.py": "a compared call",
    "graph/rules/unavailable.py": "test_long_texts_are_read_quickly",
    "graph/rules/linter.py": "ruff's answer",
    "graph/rules/static_checks.py": "in a thread up to 16,000 characters; else apart",
    "graph/rules/static_runner.py": "a signature",
    "graph/sandbox/landlock_launcher.py": "our own words",
    "app/llm/providers.py": "a provider's package name",
    "app/redaction.py": "a provider's message",
    "graph/rules/folding_evaluator.py": "a compared call",
    "graph/sandbox/wasm_engine.py": "our own package's name",
    "app/strict_json.py": "test_strict_json",
    "optimizer/dataset/cases.py": "our own file",
    "optimizer/text/diffs.py": "a diff",
    "optimizer/guardrails/obfuscation.py": "a candidate, logs",
    "optimizer/guardrails/lint.py": "a candidate, a finding",
    "optimizer/text/sentences.py": "the sentences of a prompt",
    "optimizer/policy/failure_causes.py": "in a thread; what plans and requests hold is cut before",
    "optimizer/policy/plan_check.py": "in a thread; calls and signatures are cut before",
    "optimizer/text/phrases.py": "edits",
    "optimizer/text/similarity.py": "requests",
    "db/address.py": "the environment",
    "db/setting_types.py": "the environment",
    "db/migrate.py": "our own files",
    "db/queries.py": "our own files",
    "server/commands/golden_requests.py": "the operator's file",
    "server/cli/keys.py": "the operator's words",
    "server/demo/measure.py": "our own file",
    "server/observability/masking.py": "our own log lines",
    "server/serialization.py": "what orjson has just written",
    "server/api/middleware.py": "64 characters",
    "server/api/routes/thread_runs.py": "40 characters",
    "server/cron_schedule.py": "a schedule",
}
_MODULES: Final = {"ast", "json", "re", "difflib", "croniter", "tokenize", "yaml", "tomllib"}
_PARSING: Final = {
    "parse", "literal_eval", "loads", "load", "compile", "search", "match", "fullmatch", "findall",
    "finditer", "sub", "split", "SequenceMatcher", "unified_diff", "croniter",
}  # fmt: skip


def parses(source: str) -> bool:
    """Tell whether a module names something of a library that parses."""
    return any(
        (
            isinstance(node, ast.ImportFrom)
            and node.module in _MODULES
            and any(each.name in _PARSING for each in node.names)
        )
        or (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in _MODULES
            and node.attr in _PARSING
        )
        for node in ast.walk(ast.parse(source))
    )


def test_every_module_that_parses_is_known() -> None:
    found = set()
    for package in (app, db, graph, optimizer, server):
        assert package.__file__
        folder = Path(package.__file__).parent
        for path in folder.rglob("*.py"):
            if parses(path.read_text(encoding="utf-8")):
                found.add(f"{folder.name}/{path.relative_to(folder)}")
    assert found == KNOWN.keys()


@pytest.mark.parametrize("name", PARSERS)
def test_what_the_event_loop_parses_takes_no_time(name: str) -> None:
    function, given = PARSERS[name]
    assert [str(each)[:60] for each in given if is_slow(function, each)] == []


@pytest.mark.parametrize("name", IN_THREADS)
def test_what_is_parsed_in_threads_takes_time_in_proportion(name: str) -> None:
    function, given = IN_THREADS[name]
    assert [str(each)[:60] for each in given if is_slow(function, each, most=1)] == []
