"""What a program may write to the sandbox's channel never breaks its reader."""

import json
import random
import string
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from selfheal.graph.rules.checks import CheckResults, execution_findings
from selfheal.graph.rules.examples import answers, answers_again, ask
from selfheal.graph.sandbox.channel import GarbledError, Transcript
from selfheal.graph.sandbox.outcome import execution_of
from selfheal.graph.sandbox.process import Ending
from selfheal.graph.sandbox.protocol import DEFAULT_LIMITS, SandboxUnavailable, Status
from selfheal.graph.sandbox.values import decode
from selfheal.graph.scoring import Grading, verdict
from selfheal.graph.state import Plan

LINES = 2_000  # in each state of the channel: 12,000 in all
EVENTS = ("ready", "loaded", "failed", "call", "value", "raised", "message", "end")
TAGS = (
    *("i", "f", "c", "b", "ba", "r", "e", "l", "t", "s", "fs", "d", "o", "dec", "frac"),
    *("date", "time", "datetime", "timedelta"),
)
# How far an honest child has come when the program writes.
BEFORE = (
    (),
    ('["ready"]',),
    ('["ready"]', '["loaded"]'),
    ('["ready"]', '["loaded"]', '["call",0]'),
    ('["ready"]', '["loaded"]', '["call",0]', '["raised",0,["ValueError","Exception"]]'),
    ('["ready"]', '["failed",3,["SyntaxError"]]'),
)
EXAMPLES = (
    ("f(2)", {"returns": "[4, {5: 6}]"}),
    ("f(2) == 4 and f(3) > 9", {"returns": "True"}),
    ("abs(f(2) - 4) < 1e-9", {"returns": "True"}),
    ("all(x in (1, 2) for x in f(3))", {"returns": "True"}),
    ("sum(f(3)) + len(f(4))", {"returns": "7"}),
    ("f(3)", {"returns": "{1, 2}"}),
    ("f(0)", {"raises": "ValueError"}),
)


def plan() -> Plan:
    examples: list[Any] = [
        {"call": call, **expected, "origin": origin}
        for call, expected in EXAMPLES
        for origin in ("stated", "inferred")
    ]
    return Plan(title="", requirements=[], signature="def f(n)", examples=examples)


def anything(chance: random.Random, depth: int = 0) -> Any:
    """Return arbitrary JSON, with what the channel speaks in it more often than by chance."""
    kind = chance.randrange(13 if depth < 4 else 9)
    if kind == 0:
        return chance.choice((None, True, False))
    if kind == 1:
        return chance.choice((0, 1, -1, 2**63, 10**4000, -(10**30), chance.randrange(100)))
    if kind == 2:
        return chance.choice((0.0, -0.0, 1e308, float("inf"), float("nan"), chance.random()))
    if kind in (3, 4):
        return chance.choice((*EVENTS, *TAGS))
    if kind == 7:
        return [chance.choice("ifb"), f"{chance.randrange(2**20):x}"]
    if kind == 5:
        return "".join(
            chance.choices(string.hexdigits + "\0\ud800é😀.-+eExp", k=chance.randrange(9))
        )
    if kind == 6:
        return chance.choice(("1" * 5000, "f" * 5000, "1e999999999", "sNaN", "0x1.8p+1", ""))
    if kind == 8:
        return {chance.choice(TAGS): chance.choice((1, None, []))}
    parts = [anything(chance, depth + 1) for _ in range(chance.randrange(5))]
    return [chance.choice(TAGS), *parts] if kind > 9 else parts


def lines(seed: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    for number in range(LINES):
        rest = [anything(chance) for _ in range(chance.randrange(4))]
        if number % 10 == 0:
            yield bytes(chance.choices(range(256), k=chance.randrange(40)))
        elif number % 10 == 1:
            yield json.dumps(anything(chance)).encode()
        elif number % 10 == 2:  # JSON, but cut off or spoilt
            whole = json.dumps([chance.choice(EVENTS), *rest]).encode()
            at = chance.randrange(len(whole))
            yield whole[:at] + bytes([chance.randrange(256)]) + whole[at + chance.randrange(2) :]
        elif number % 10 < 6:  # an event in its turn
            yield json.dumps([chance.choice(EVENTS), chance.choice((0, 3)), *rest[:1]]).encode()
        else:
            yield json.dumps([chance.choice(EVENTS), *rest]).encode()


def read(before: tuple[str, ...], line: bytes) -> Ending:
    """Feed the channel as the parent does."""
    transcript = Transcript(("f(2)",) * 20, lambda: None)
    ending = Ending(transcript, returncode=-9)
    for text in before:
        transcript.feed(text.encode() + b"\n")
    try:
        transcript.feed(line + b"\n")
    except GarbledError as problem:
        ending.stopped, ending.why = "garbled", str(problem)
    return ending


@pytest.mark.parametrize("before", BEFORE, ids=len)
def test_no_line_breaks_the_reader_or_the_verdict(before: tuple[str, ...]) -> None:
    questions, refused = ask(plan()), 0
    for line in lines(seed=len(before)):
        ending = read(before, line)
        refused += ending.stopped == "garbled"
        try:
            execution = execution_of("test", ending, DEFAULT_LIMITS)
        except SandboxUnavailable:
            assert not ending.transcript.ready
            continue
        assert execution.status in get_args(Status)
        found = answers_again(answers(questions, execution), execution)
        seen = verdict(
            CheckResults(tuple(execution_findings(execution, found)), execution), None, Grading()
        )
        json.dumps(seen, allow_nan=False).encode()
        assert not seen["passed"]
    assert refused > LINES / 2  # most are no events, and are refused as such


def test_the_lines_reach_every_kind_of_value() -> None:
    kinds: set[type] = set()
    for line in lines(seed=7):
        try:
            kinds |= {type(decode(part)) for part in json.loads(line)[1:]}
        except (ValueError, TypeError, KeyError):
            continue
    names = {each.__name__ for each in kinds}
    assert {"int", "float", "complex", "bytes", "list", "tuple", "set", "dict", "Opaque"} <= names


@pytest.mark.parametrize("names", ['[["a"]]', "[{}]", "[null]", "[1.5]", '["ValueError",[]]', "5"])
@pytest.mark.parametrize("event", ["raised", "failed"])
def test_classes_that_are_no_names_are_refused(event: str, names: str) -> None:
    before = BEFORE[3] if event == "raised" else BEFORE[1]
    assert read(before, f'["{event}",0,{names}]'.encode()).stopped == "garbled"


@pytest.mark.parametrize("number", ["false", "0.0", '"0"', "null", "[0]"])
def test_a_call_is_numbered_by_an_int(number: str) -> None:
    assert read(BEFORE[3], f'["value",{number},1]'.encode()).stopped == "garbled"
