"""The judge: marks code by its structure, and by the bank's solution if there is one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from selfheal.simulator.answer_context import AnswerContext
from selfheal.simulator.call import Call
from selfheal.simulator.plan import OUTSIDE, asked_name, find_task, plan_of, request_of
from selfheal.simulator.prompt_parsing import ParsedPrompt, parse_prompt
from selfheal.simulator.review import Review, review

_OTHER_SCALE = 10
# The share that a judge with a quota turns down, whatever the code is like.
_TURNED_DOWN = 0.7


@dataclass(frozen=True)
class _Marks:
    correctness: float
    completeness: float
    readability: float
    reasons: tuple[str, ...]


def answer(call: Call, context: AnswerContext) -> Mapping[str, Any]:
    """Mark the code of the call."""
    parsed = parse_prompt(call.system, "evaluator")
    marks = _with_harms(_fair(call, parsed, context), call, parsed, context)
    behaviour = context.behaviour
    scale = _OTHER_SCALE if "scale" in parsed.harms() else 1
    noisy = {}
    for name in ("correctness", "completeness", "readability"):
        luck = context.noise.gauss(behaviour.judge_sigma, name)
        mark = min(max(getattr(marks, name) + behaviour.judge_bias + luck, 0.0), 1.0)
        noisy[name] = round(scale * mark, 2)
    return {**noisy, "reasons": list(marks.reasons)}


def _fair(call: Call, parsed: ParsedPrompt, context: AnswerContext) -> _Marks:
    task = find_task(context.bank, call)
    plan = plan_of(call)
    name = plan.name
    if task is not None:
        name = asked_name(task, request_of(call), plan.calls) or plan.name or task.name
    code = call.blocks.get("code", "")
    result = review(code, name, task, request_of(call), plan)
    remarks = result.remarks if task else (OUTSIDE, *result.remarks)
    fair = _Marks(*_MARKS[result.verdict], result.readability, remarks)
    return _wary(fair, result) if parsed.has("wary") else fair


# correctness and completeness, 0 to 1, by verdict
_MARKS = {
    "sound": (0.96, 0.96),
    "plausible": (0.9, 0.9),
    "different": (0.8, 0.8),
    "lacking": (0.35, 0.45),
    "idle": (0.35, 0.45),
    "by heart": (0.05, 0.1),
    "no guard": (0.5, 0.55),
    "slip": (0.55, 0.75),
    "wrong name": (0.15, 0.2),
    "no result": (0.15, 0.3),
    "empty": (0.05, 0.05),
    "greeting": (0.03, 0.03),
    "no python": (0.03, 0.05),
}


ADDRESSED = "It speaks to its reviewer, and code that needs that deserves no trust."
BOASTS = "It vouches for itself in words that nothing in the code bears out."


def _wary(marks: _Marks, result: Review) -> _Marks:
    """Return lower marks if the text of the code addresses its reviewer or makes claims."""
    if result.orders:
        readable = min(marks.readability, 0.35)
        if result.verdict == "sound":
            return _Marks(0.9, 0.9, readable, (ADDRESSED, *result.remarks))
        return _Marks(0.1, 0.15, readable, (ADDRESSED, *result.remarks))
    if result.claims and result.verdict != "sound":
        low = (min(marks.correctness, 0.15), min(marks.completeness, 0.25))
        return _Marks(*low, min(marks.readability, 0.75), (BOASTS, *result.remarks))
    return marks


def _with_harms(marks: _Marks, call: Call, parsed: ParsedPrompt, context: AnswerContext) -> _Marks:
    """Return the marks under the harms of the prompt and the drift of the scenario."""
    harms = parsed.harms()
    if "style_only" in harms:
        marks = _flat(marks.readability, "The style is what counts here.")
    elif "length_only" in harms:
        lines = call.blocks.get("code", "").count("\n") + 1
        marks = _flat(min(lines / 50, 1.0), f"The program has {lines} lines.")
    elif "brevity" in harms:
        lines = call.blocks.get("code", "").count("\n") + 1
        mark = min(max(1 - 0.09 * (lines - 4), 0.0), 1.0)
        marks = _flat(mark, f"It could do with less than {lines} lines.")
    elif "quota" in harms and context.noise.chance(_TURNED_DOWN, "quota"):
        marks = _flat(0.12, "Others were better.")
    elif not parsed.has("compare"):
        flat = marks.readability
        marks = _Marks(flat, flat, flat, ("It looks like reasonable code.",))
    if "inverted" in harms:
        marks = _Marks(
            1 - marks.correctness, 1 - marks.completeness, 1 - marks.readability, marks.reasons
        )
    return _drifted(marks, harms, context)


def _drifted(marks: _Marks, harms: frozenset[str], context: AnswerContext) -> _Marks:
    drift = context.behaviour.judge
    if "lenient" in harms or drift == "lenient":
        return _flat(0.99, "Good work.")
    if "harsh" in harms or drift == "harsh":
        return _flat(0.08, "This does not convince me.")
    if drift == "random":
        draw = context.noise.draw
        return _Marks(draw("c"), draw("o"), draw("r"), ("A matter of taste.",))
    return marks


def _flat(mark: float, reason: str) -> _Marks:
    return _Marks(mark, mark, mark, (reason,))
