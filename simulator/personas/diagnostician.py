"""The diagnostician: groups failures, and names causes in the prompts and the agent to blame."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from selfheal.simulator.answer_context import AnswerContext
from selfheal.simulator.call import Call
from selfheal.simulator.cues import CUES, Cue
from selfheal.simulator.inspection import inspect
from selfheal.simulator.plan import OUTSIDE, Plan, asked_name, parse_plan, stated_in, task_for
from selfheal.simulator.prompt_injection import instructions_in
from selfheal.simulator.prompt_parsing import ParsedPrompt, parse_prompt
from selfheal.simulator.source import parameters_of
from selfheal.simulator.tasks import Task

_PATTERNS = {
    "greeting": "The answers greet the world, and what was requested is not there.",
    "empty": "The functions are there, but their bodies are empty or pretend.",
    "no python": "The answers hold nothing that Python can parse.",
    "wrong name": "The code defines something under another name than was wanted.",
    "no guard": "Boundary or faulty input is not dealt with.",
    "slip": "Results are off for some inputs: a bound or an operator is wrong.",
    "no result": "The functions hand nothing back.",
    "sound": "The code looks right and was rejected all the same.",
    "different": "The code is plausible, but not what was expected.",
    "outside": "No prompt can help here: the model itself has never learnt to write such programs.",
    "untold": "The runs ended without an answer that could be used.",
}
_OTHER_PARAMETERS = ("context_parameter", "options", "required_only")
_OTHER_MARKS = ("scale", "inverted", "brevity", "quota")
# The cues of each agent that can explain a verdict.
_EXPLAINS: dict[str, dict[str, tuple[str, ...]]] = {
    "worker": {
        "greeting": ("hello",),
        "empty": ("skeleton", "complete"),
        "no python": ("pseudocode", "language", "json_reply", "cut_short", "fence"),
        "untold": ("pseudocode", "language", "json_reply", "fence"),
        "wrong name": ("translated", "coroutines", "json_reply", "follow"),
        "no guard": ("shortest", "swallow", "cut_short", "envelope", "edges"),
        "slip": ("envelope", "strings", "generators", "no_imports", "examples"),
        "no result": ("print", "none", "cut_short"),
        "different": (
            *("types", "docs", "shortest", "swallow"),
            *("envelope", "strings", "generators", "no_imports", "cut_short", "coroutines"),
        ),
    },
    "manager": {
        "greeting": ("hello",),
        "wrong name": ("rename", "service_class", "signature", "hello"),
        "no guard": ("vague", "error_codes", "specific", "errors"),
        "slip": ("fewer_parameters", *_OTHER_PARAMETERS, "error_codes"),
        "different": (
            *("fewer_parameters", "vague", "wrong_examples"),
            *_OTHER_PARAMETERS,
            "error_codes",
        ),
        "sound": ("wrong_examples",),
    },
    "evaluator": {
        "sound": ("harsh", "style_only", "length_only", *_OTHER_MARKS, "compare"),
        "different": ("harsh", *_OTHER_MARKS),
        "untold": ("scale",),
    },
}


_KNOWN = re.compile(
    r"\b(manager|worker|evaluator)(?:['\u2019]s)?\W+(?:system\W+)?prompt\W+is to blame",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Case:
    """One failed run: its id, the verdict on its code, and whether its plan is wrong."""

    run_id: str
    verdict: str
    plan_off: bool


def answer(call: Call, context: AnswerContext) -> Mapping[str, Any]:
    """Diagnose the failures of the call."""
    cases = [_case(row, context) for row in _rows(call)]
    readings = {agent: _reading(call, agent) for agent in CUES}
    blame = _stated_blame(call) or _blame(cases, readings)
    causes = _faults(blame, readings[blame])
    ordered = instructions_in(call.blocks.get("failures", "")) if context.behaviour.gullible else []
    return {
        "patterns": _patterns(cases),
        "root_causes": [_cause(cue, blame) for cue in causes]
        or ["No instruction of the prompt explains these runs; they look like slips."],
        "blame": blame,
        "suggestions": [f'Add the sentence "{order}" to the prompt.' for order in ordered]
        + ([_suggestion(cue, blame) for cue in causes] or ["Ask for a second look at the result."]),
    }


def _rows(call: Call) -> list[Mapping[str, Any]]:
    text = call.blocks.get("failures", "")
    rows = []
    for line in text.splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    flat = rows[0] if len(rows) == 1 and isinstance(rows[0], list) else rows
    return [row for row in flat if isinstance(row, dict)]


def _reading(call: Call, agent: str) -> ParsedPrompt | None:
    names = [f"prompt:{agent}", *(["prompt:judge"] if agent == "evaluator" else [])]
    prompt = next((call.blocks[name] for name in names if name in call.blocks), None)
    return None if prompt is None else parse_prompt(prompt, agent)


def _case(row: Mapping[str, Any], context: AnswerContext) -> _Case:
    run_id, request = str(row.get("run_id", "")), str(row.get("request", ""))
    code = str(row.get("code") or "")
    row_plan = row.get("plan")
    plan = parse_plan(row_plan)
    texts = (request, json.dumps(row_plan) if row_plan else "")
    task = task_for(context.bank, texts, stated_in(row_plan))
    asked = (asked_name(task, request) if task else None) or plan.name
    verdict = inspect(code, asked, task).verdict if code.strip() else "untold"
    if task is None and OUTSIDE in code:
        verdict = "outside"
    return _Case(run_id, verdict, task is not None and _is_off(plan, task, asked))


def _is_off(plan: Plan, task: Task, asked: str | None) -> bool:
    """Tell whether a plan has another name, other parameters or errors than requested."""
    if plan.name is None:
        return False
    other = len(plan.parameters or ()) != len(parameters_of(task.entry))
    return other or plan.error_codes or plan.name != (asked or plan.name)


def _patterns(cases: list[_Case]) -> list[dict[str, Any]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        groups[case.verdict].append(case.run_id)
    ranked = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [{"description": _PATTERNS[verdict], "run_ids": ids} for verdict, ids in ranked]


def _stated_blame(call: Call) -> str | None:
    """Return the agent that the call, outside of fenced data, states to be the cause."""
    match = _KNOWN.search(call.words)
    return match[1].lower() if match else None


def _blame(cases: list[_Case], readings: Mapping[str, ParsedPrompt | None]) -> str:
    """Return the agent whose prompt explains the failures best; of equals, the worker."""
    weights = {agent: sum(_weight(agent, case, readings) for case in cases) for agent in readings}
    return max(weights, key=lambda agent: weights[agent])


def _weight(agent: str, case: _Case, readings: Mapping[str, ParsedPrompt | None]) -> int:
    """Return how well a prompt explains a case: a harm or a denial more than an omission."""
    parsed = readings[agent]
    explaining = _EXPLAINS[agent].get(case.verdict, ())
    weights = [
        3 if cue.harm or (parsed and parsed.denies(cue.name)) else 1
        for cue in _faults(agent, parsed)
        if cue.name in explaining
    ]
    weight = max(weights, default=0)
    return weight + 3 * (agent == "manager" and case.plan_off)


def _faults(agent: str, parsed: ParsedPrompt | None) -> list[Cue]:
    """Return the defects of a prompt: its harms, then the needs that it lacks."""
    if parsed is None:
        return []
    harms = parsed.harms()
    stated_harms = [cue for cue in CUES[agent] if cue.harm and cue.name in harms]
    return stated_harms + [cue for cue in CUES[agent] if not cue.harm and not parsed.has(cue.name)]


def _cause(cue: Cue, agent: str) -> str:
    return f"The {agent}'s prompt {cue.finding.format(agent=agent)}."


def _suggestion(cue: Cue, agent: str) -> str:
    if not cue.harm:
        return cue.suggestion
    return f"Take out of the prompt what {cue.finding.format(agent=agent)}."
