"""Parses the request and the plan of a call from its fenced blocks."""

import ast
import builtins
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from selfheal.simulator.bank import Bank
from selfheal.simulator.call import Call
from selfheal.simulator.request_parsing import parse_request
from selfheal.simulator.solution_matching import StatedExample, adapted, signature_for
from selfheal.simulator.source import Entry, parameters_of
from selfheal.simulator.tasks import Task

_DEFINED = re.compile(r"(?:def\s+|class\s+)?([A-Za-z_]\w*)\s*\(")
_ASKED = re.compile(
    r"\b(?:named|called|function|method|class)\s+[`'\"]?([A-Za-z_]\w*)[`'\"(]"
    r"|`([A-Za-z_]\w*)[`(]|\bdef ([A-Za-z_]\w*)|\bclass ([A-Z]\w*)|(?<![\w.])([A-Za-z]\w*_\w+)\("
)
ERROR_CODE = "return -1 instead of an exception"
SERVICE = "Service"
_EXACT = re.compile(r"[`'\"\d]|\w+Error\b|\b(?:raise|empty|negative)", re.IGNORECASE)


OUTSIDE = (
    "This request is outside what the SIMULATED model knows: it has a bank of small tasks, such as "
    "FizzBuzz, the median of a list or reversing a linked list, and can write nothing else."
)


@dataclass(frozen=True)
class Plan:
    """A manager's plan; None or empty for what is missing in it."""

    name: str | None
    parameters: tuple[str, ...] | None
    requirements: tuple[str, ...]
    calls: tuple[str, ...]
    results: tuple[str, ...] = ()

    @property
    def error_codes(self) -> bool:
        """Whether it wants codes in place of exceptions."""
        return any(ERROR_CODE in text for text in self.requirements)

    @property
    def service_class(self) -> bool:
        """Whether it makes a class of a function."""
        return bool(self.name and self.name.endswith(SERVICE))

    @property
    def vague(self) -> bool:
        """Whether there are requirements and none of them is specific."""
        return bool(self.requirements) and not any(map(_EXACT.search, self.requirements))


def request_of(call: Call) -> str:
    """Return the request: its block, or the whole text if nothing is fenced."""
    return call.blocks.get("request", call.text)


def plan_of(call: Call) -> Plan:
    """Return the plan of the call, empty if there is none."""
    return parse_plan(call.json_block("plan"))


def parse_plan(block: object) -> Plan:
    """Parse a plan; anything may be missing in it."""
    plan = block if isinstance(block, dict) else {}
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
    block = call.json_block("examples")
    rows = block if isinstance(block, list) else []
    return tuple(str(row.get("call", "")) for row in rows if isinstance(row, dict))


def stated_examples(call: Call) -> tuple[StatedExample, ...]:
    """Return the examples that the request states: in their block, or marked in the plan."""
    block = call.json_block("examples")
    return _stated(block) if isinstance(block, list) else stated_in(call.json_block("plan"))


def stated_in(plan: object) -> tuple[StatedExample, ...]:
    """Return the examples of a plan that are marked as stated by the request."""
    rows = plan.get("examples") if isinstance(plan, dict) else None
    marked = (row for row in rows or [] if isinstance(row, dict) and row.get("origin") == "stated")
    return _stated(marked)


def _stated(rows: Iterable[object]) -> tuple[StatedExample, ...]:
    keys = ("call", "returns", "raises")
    objects = [row for row in rows if isinstance(row, dict)]
    return tuple(StatedExample(*(str(row.get(key) or "") for key in keys)) for row in objects)


def asked_name(task: Task, request: str, calls: tuple[str, ...] = ()) -> str | None:
    """Return the name that the request or its examples require; None if they require none."""
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
    """Return the name that a short request requires for the task's code."""
    parsed = parse_request(request)
    if parsed is None:
        return None
    signature = signature_for(task, parsed)
    if parsed.given_name or signature:
        return parsed.given_name or (signature.name if signature else None)
    return parsed.wanted if isinstance(task.entry, ast.FunctionDef) else None


def _called(text: str) -> list[str]:
    """Return the functions that an expression calls, but for builtins."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError:
        return []
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    names = (node.id for node in calls if isinstance(node, ast.Name))
    return [name for name in names if not hasattr(builtins, name)]


def find_task(bank: Bank, call: Call) -> Task | None:
    """Return the bank's task for a call, by its request, plan and stated examples."""
    texts = [request_of(call), call.blocks.get("plan", ""), call.blocks.get("examples", "")]
    return task_for(bank, tuple(texts), stated_examples(call))


@lru_cache(maxsize=4096)
def task_for(
    bank: Bank, texts: tuple[str, ...], stated: tuple[StatedExample, ...] = ()
) -> Task | None:
    """Return the task that texts are about, adapted to the request.

    Args:
        bank: the tasks.
        texts: the request, then further texts such as the plan.
        stated: the examples that the request states.
    """
    task = bank.find(*texts, stated=stated)
    parsed = parse_request(texts[0]) if task and task.asks else None
    return adapted(task, parsed, stated) if task and parsed else task


@lru_cache(maxsize=1024)
def _parameters(signature: str) -> tuple[str, ...] | None:
    """Return the parameters' names without `self`; None if the signature is not Python."""
    text = re.sub(r"^\s*(?:def|class)\s+|[:.\s]+$", "", signature)
    try:
        (entry,) = ast.parse(f"def {text}: ...").body
    except SyntaxError:
        return None
    return tuple(arg.arg for arg in parameters_of(entry)) if isinstance(entry, Entry) else None
