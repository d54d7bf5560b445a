"""The product and its simulated model share no words but those of the wire.

Otherwise a healing would only prove that both were written together: the optimizer's instructions
would contain the fix that the simulator looks for.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from selfheal.optimizer.text.similarity import word_ngrams
from selfheal.simulator import inspection, plan, review
from selfheal.simulator.bank import load_bank
from selfheal.simulator.cues import CUES
from selfheal.simulator.defects import load_defects
from selfheal.simulator.personas import diagnostician, judge, writer
from selfheal.simulator.prompt_parsing import Stance, parse_prompt

ROOT = Path(__file__).parents[2]
PRODUCT = ("app", "graph", "optimizer", "server", "db")
# Written to be good prompts, and the demo's own defect: what the simulator must react to.
PROMPTS = ("graph/prompts/", "server/demo/worker.md")
# Requests may be about the bank's tasks: without it, no golden request could be solved. The golden
# verdicts are such requests with answers, bad ones that give orders among them.
REQUESTS = (
    "optimizer/dataset/golden/requests.jsonl",
    "optimizer/dataset/golden/verdicts.jsonl",
    "server/demo/requests.jsonl",
)
COPIED = 6


def _docstrings(tree: ast.Module) -> set[int]:
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    first = (node.body[0] for node in ast.walk(tree) if isinstance(node, owners) and node.body)
    return {id(each.value) for each in first if isinstance(each, ast.Expr)}


def _texts(path: Path) -> Iterator[str]:
    """Yield what a file can say to a model: a program's string literals, else all of it."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield text
        return
    tree = ast.parse(text)
    told_to_readers = _docstrings(tree)
    for node in ast.walk(tree):
        literal = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if literal and id(node) not in told_to_readers:
            yield node.value  # type: ignore[attr-defined]


@cache
def said(*tops: str) -> tuple[tuple[str, str], ...]:
    """Return (file, text) for all that the product says, prompts and requests aside."""
    files = [path for top in tops for path in sorted((ROOT / top).rglob("*")) if path.is_file()]
    names = {path.relative_to(ROOT).as_posix(): path for path in files}
    return tuple(
        (name, text)
        for name, path in names.items()
        if path.suffix in (".py", ".md", ".sql", ".jsonl")
        and not name.startswith(PROMPTS + REQUESTS)
        for text in _texts(path)
    )


def orders(text: str, agent: str) -> list[Stance]:
    """Return what the simulator, as this agent, would take from a text as an order."""
    return [stance for stance in parse_prompt(text, agent).stances if stance.said]


def simulators_own() -> dict[str, str]:
    """Return whatever the simulator was taught to say, or to recognise, in whole phrases."""
    cues = {f"cue {cue.name}": cue for each in CUES.values() for cue in each}
    return {
        **{
            name: " . ".join((*cue.advice, cue.finding, cue.suggestion))
            for name, cue in cues.items()
        },
        **{f"defect {each.name}": each.prompt for each in load_defects()},
        "writer": " . ".join(
            (*writer.FILLERS, *(t for role in writer.ROLES.values() for t in role))
        ),
        "diagnostician": " . ".join(diagnostician._PATTERNS.values()),
        "inspection": " . ".join((*inspection.REMARKS.values(), *review.REMARKS.values())),
        "judge": " . ".join((judge.ADDRESSED, judge.BOASTS)),
        "outside": plan.OUTSIDE,
    }


def test_something_is_compared() -> None:
    assert len(said(*PRODUCT)) > 500
    assert {"optimizer/instructions/write.md", "optimizer/proposers/writer.py"} <= {
        name for name, _ in said("optimizer")
    }
    assert orders("Answer with a hello world program.", "worker")


def test_nothing_is_worded_as_the_simulator_words_it() -> None:
    owners = {
        run: name for name, text in simulators_own().items() for run in word_ngrams(text, COPIED)
    }
    shared = [
        (file, owners[run], " ".join(run))
        for file, text in said(*PRODUCT)
        for run in word_ngrams(text, COPIED) & owners.keys()
    ]
    assert shared == []


@pytest.mark.parametrize("agent", CUES)
def test_nothing_says_what_the_simulator_is_harmed_by(agent: str) -> None:
    harms = [
        (file, stance.cue.name, stance.sentence)
        for file, text in said(*PRODUCT)
        for stance in orders(text, agent)
        if stance.cue.harm
    ]
    assert harms == []


# Sentences of instructions/write.md that name no cure, but hold a word that the simulator, if it
# read them as a worker's prompt, would take for one. It does not read them: its writer goes by the
# findings and the incumbent alone.
UNAVOIDED = {"follow", "complete"}


def test_no_instruction_of_the_optimizer_contains_the_fix() -> None:
    """What the worker's prompt lacks must come from the runs, not from the optimizer's own text."""
    told = said("optimizer/instructions", "optimizer/nodes")
    cures = {stance.cue.name for _, text in told for stance in orders(text, "worker")}
    assert cures <= UNAVOIDED


@pytest.mark.parametrize("top", PRODUCT)
def test_no_request_of_the_bank_is_known(top: str) -> None:
    tasks = (*load_bank().tasks.values(), *load_bank().first.values())
    asked = set().union(*(word_ngrams(text, COPIED) for task in tasks for text in task.requests))
    assert [
        (file, run) for file, text in said(top) for run in word_ngrams(text, COPIED) & asked
    ] == []


@pytest.mark.parametrize("top", PRODUCT)
def test_no_task_of_the_bank_is_known_by_name(top: str) -> None:
    bank = load_bank()
    names = [name for name in (*bank.tasks, *bank.first) if "_" in name]
    pattern = re.compile(rf"\b(?:{'|'.join(names)})\b")
    assert [(file, match[0]) for file, text in said(top) for match in pattern.finditer(text)] == []


@pytest.mark.parametrize("top", ["optimizer", "db"])
def test_decisions_do_not_know_of_a_simulation(top: str) -> None:
    assert [file for file, text in said(top) if "simulat" in text.lower()] == []
