"""The plan and the request as the personas read them off the fenced blocks."""

import ast
import builtins
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from selfheal.simulator.bank import Bank
from selfheal.simulator.call import Call
from selfheal.simulator.fitting import Stated, signature_for, tailored
from selfheal.simulator.source import Entry, parameters_of
from selfheal.simulator.tasks import Task
from selfheal.simulator.wording import read_wording

_DEFINED = re.compile(r"(?:def\s+|class\s+)?([A-Za-z_]\w*)\s*\(")
_ASKED = re.compile(
    r"\b(?:named|called|function|method|class)\s+[`'\"]?([A-Za-z_]\w*)[`'\"(]"
    r"|`([A-Za-z_]\w*)[`(]|\b(?:def|class) ([A-Za-z_]\w*)|(?<![\w.])([A-Za-z]\w*_\w+)\("
)
_EXACT = re.compile(r"[`'\"\d]|\w+Error\b|\b(?:raise|empty|negative)", re.IGNORECASE)


OUTSIDE = (
    "This request is outside what the SIMULATED model knows: it has a bank of small tasks, such as "
    "FizzBuzz, the median of a list or reversing a linked list, and can write nothing else."
)


@dataclass(frozen=True)
class Plan:
    """A manager's plan, tolerant of what is missing in it."""

    name: str | None
    parameters: tuple[str, ...] | None
    requirements: tuple[str, ...]
    calls: tuple[str, ...]
    results: tuple[str, ...] = ()

    @property
    def vague(self) -> bool:
        """Whether there are requirements and none of them says anything exact."""
        return bool(self.requirements) and not any(map(_EXACT.search, self.requirements))


def request_of(call: Call) -> str:
    """Return the request: its block, or the whole text where nothing is fenced."""
    return call.blocks.get("request", call.text)


def plan_of(call: Call) -> Plan:
    """Return the plan of the call, all empty where there is none."""
    return parse_plan(call.json_block("plan"))


def parse_plan(found: object) -> Plan:
    """Read a plan, whatever is missing in it."""
    plan = found if isinstance(found, dict) else {}
    signature = str(plan.get("signature") or "")
    name = _DEFINED.search(signature)
    examples = [row for row in plan.get("examples") or [] if isinstance(row, dict)]
    return Plan(
        name[1] if name else None,
        _parameters(signature),
        tuple(map(str, plan.get("requirements") or [])),
        tuple(str(row.get("call", "")) for row in examples),
        tuple(str(row.get("returns", "")) for row in examples),
    )


def stated_calls(call: Call) -> tuple[str, ...]:
    """Return the calls of the examples that the request states."""
    found = call.json_block("examples")
    rows = found if isinstance(found, list) else []
    return tuple(str(row.get("call", "")) for row in rows if isinstance(row, dict))


def stated_examples(call: Call) -> tuple[Stated, ...]:
    """Return the examples that the request states: in their block, or marked in the plan."""
    found = call.json_block("examples")
    return _stated(found) if isinstance(found, list) else stated_in(call.json_block("plan"))


def stated_in(plan: object) -> tuple[Stated, ...]:
    """Return the examples of a plan that the request has stated."""
    rows = plan.get("examples") if isinstance(plan, dict) else None
    marked = (row for row in rows or [] if isinstance(row, dict) and row.get("origin") == "stated")
    return _stated(marked)


def _stated(rows: Iterable[object]) -> tuple[Stated, ...]:
    keys = ("call", "returns", "raises")
    found = [row for row in rows if isinstance(row, dict)]
    return tuple(Stated(*(str(row.get(key) or "") for key in keys)) for row in found)


def asked_name(task: Task, request: str, calls: tuple[str, ...] = ()) -> str | None:
    """Return the name that the request or its examples give the code; None if they give none."""
    used = [name for text in calls for name in _called(text)]
    if task.name in used:
        return task.name
    if task.asks:
        return _name_in(task, request) or next((name for name in used if len(name) > 1), None)
    if re.search(rf"\b{task.name}\b", request):
        return task.name
    asked = [next(filter(None, match.groups())) for match in _ASKED.finditer(request)]
    return next((name for name in (*used, *asked) if len(name) > 1), None)


def _name_in(task: Task, request: str) -> str | None:
    """Return the name that a short request gives the task's code."""
    wording = read_wording(request)
    if wording is None:
        return None
    signature = signature_for(task, wording)
    if wording.given_name or signature:
        return wording.given_name or (signature.name if signature else None)
    return wording.wanted if isinstance(task.entry, ast.FunctionDef) else None


def _called(text: str) -> list[str]:
    """Return the functions of ours that an expression calls."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError:
        return []
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    names = (node.id for node in calls if isinstance(node, ast.Name))
    return [name for name in names if not hasattr(builtins, name)]


def find_task(bank: Bank, call: Call) -> Task | None:
    """Return the bank's task for the call, by request, plan and stated examples."""
    texts = [request_of(call), call.blocks.get("plan", ""), call.blocks.get("examples", "")]
    return task_for(bank, tuple(texts), stated_examples(call))


@lru_cache(maxsize=4096)
def task_for(bank: Bank, texts: tuple[str, ...], stated: tuple[Stated, ...] = ()) -> Task | None:
    """Return the task that the texts, the request first, are about, as the request wants it."""
    task = bank.find(*texts, stated=stated)
    wording = read_wording(texts[0]) if task and task.asks else None
    return tailored(task, wording, stated) if task and wording else task


@lru_cache(maxsize=1024)
def _parameters(signature: str) -> tuple[str, ...] | None:
    """Return the parameters' names, `self` left out; None where the signature is no Python."""
    text = re.sub(r"^\s*(?:def|class)\s+|[:.\s]+$", "", signature)
    try:
        (entry,) = ast.parse(f"def {text}: ...").body
    except SyntaxError:
        return None
    return tuple(arg.arg for arg in parameters_of(entry)) if isinstance(entry, Entry) else None
