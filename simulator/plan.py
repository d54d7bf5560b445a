"""The plan and the request as the personas read them off the fenced blocks."""

import ast
import re
from dataclasses import dataclass
from functools import lru_cache

from simulator.bank import Bank, Task, stems
from simulator.call import Call

_DEFINED = re.compile(r"(?:def\s+|class\s+)?([A-Za-z_]\w*)\s*\(")
_ASKED = re.compile(
    r"\b(?:named|called|function|method)\s+[`'\"]?([a-z_]\w*)[`'\"(]|`([a-z_]\w*)[`(]|\bdef ([a-z_]\w*)"
    r"|(?<![\w.])([a-z]+_\w+)\("
)
_EXACT = re.compile(r"[`'\"\d]|\w+Error\b|\b(?:raise|empty|negative)", re.IGNORECASE)


@dataclass(frozen=True)
class Plan:
    """A manager's plan, tolerant of what is missing in it."""

    name: str | None
    parameters: tuple[str, ...] | None
    requirements: tuple[str, ...]
    calls: tuple[str, ...]

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
    )


def stated_calls(call: Call) -> tuple[str, ...]:
    """Return the calls of the examples that the request states."""
    found = call.json_block("examples")
    rows = found if isinstance(found, list) else []
    return tuple(str(row.get("call", "")) for row in rows if isinstance(row, dict))


def wanted_name(task: Task, request: str, calls: tuple[str, ...]) -> str:
    """Return the name that the request or its examples give the function, else the bank's."""
    for text in calls:
        match = _DEFINED.match(text.strip())
        if match and match[1] not in {"list", "sorted", "round", "str", "dict", "tuple", "set"}:
            return match[1]
    asked = [next(filter(None, match.groups())) for match in _ASKED.finditer(request)]
    if not asked or re.search(rf"\b{task.name}\b", request):
        return task.name
    return asked[0] if len(asked[0]) > 2 and asked[0] not in stems(request) else task.name


def find_task(bank: Bank, call: Call) -> Task | None:
    """Return the bank's task for the call, by request and plan."""
    texts = [request_of(call), call.blocks.get("plan", ""), call.blocks.get("examples", "")]
    return task_for(bank, tuple(texts))


@lru_cache(maxsize=4096)
def task_for(bank: Bank, texts: tuple[str, ...]) -> Task | None:
    """Return the task that the texts, the request first, are about."""
    return bank.find(*texts)


def _parameters(signature: str) -> tuple[str, ...] | None:
    text = signature.strip().removesuffix(":").removesuffix("...").strip().removesuffix(":")
    try:
        tree = ast.parse(f"{text if text.startswith('def ') else 'def ' + text}: ...")
    except SyntaxError:
        return None
    entry = tree.body[0]
    if not isinstance(entry, ast.FunctionDef):
        return None
    return tuple(arg.arg for arg in (*entry.args.posonlyargs, *entry.args.args))
