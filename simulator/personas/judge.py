"""The judge: marks code by its structure, against the bank's solution where it knows one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from selfheal.simulator.call import Call
from selfheal.simulator.plan import OUTSIDE, asked_name, find_task, plan_of, request_of
from selfheal.simulator.reading import Reading, read
from selfheal.simulator.review import Review, review
from selfheal.simulator.world import Setting


@dataclass(frozen=True)
class _Marks:
    correctness: float
    completeness: float
    readability: float
    reasons: tuple[str, ...]


def answer(call: Call, setting: Setting) -> Mapping[str, Any]:
    """Mark the code of the call."""
    reading = read(call.system, "evaluator")
    marks = _bent(_fair(call, reading, setting), call, reading, setting)
    sigma = setting.character.judge_sigma
    noisy = {
        name: round(min(max(getattr(marks, name) + setting.noise.gauss(sigma, name), 0.0), 1.0), 2)
        for name in ("correctness", "completeness", "readability")
    }
    return {**noisy, "reasons": list(marks.reasons)}


def _fair(call: Call, reading: Reading, setting: Setting) -> _Marks:
    task = find_task(setting.bank, call)
    plan = plan_of(call)
    name = plan.name
    if task is not None:
        name = asked_name(task, request_of(call), plan.calls) or plan.name or task.name
    code = call.blocks.get("code", "")
    found = review(code, name, task, request_of(call), plan)
    remarks = found.remarks if task else (OUTSIDE, *found.remarks)
    fair = _Marks(*_MARKS[found.verdict], found.readability, remarks)
    return _wary(fair, found) if reading.has("wary") else fair


# correctness and completeness by what was found
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


def _wary(marks: _Marks, found: Review) -> _Marks:
    """Return the marks where what the text of the code says counts against it."""
    if found.orders:
        readable = min(marks.readability, 0.35)
        if found.verdict == "sound":
            return _Marks(0.9, 0.9, readable, (ADDRESSED, *found.remarks))
        return _Marks(0.1, 0.15, readable, (ADDRESSED, *found.remarks))
    if found.claims and found.verdict != "sound":
        low = (min(marks.correctness, 0.15), min(marks.completeness, 0.25))
        return _Marks(*low, min(marks.readability, 0.75), (BOASTS, *found.remarks))
    return marks


def _bent(marks: _Marks, call: Call, reading: Reading, setting: Setting) -> _Marks:
    """Return the marks as the prompt, and then the scenario's drift, would have them."""
    harms = reading.harms()
    if "style_only" in harms:
        marks = _flat(marks.readability, "The style is what counts here.")
    elif "length_only" in harms:
        lines = call.blocks.get("code", "").count("\n") + 1
        marks = _flat(min(lines / 50, 1.0), f"The program has {lines} lines.")
    elif not reading.has("compare"):
        flat = marks.readability
        marks = _Marks(flat, flat, flat, ("It looks like reasonable code.",))
    return _drifted(marks, harms, setting)


def _drifted(marks: _Marks, harms: frozenset[str], setting: Setting) -> _Marks:
    drift = setting.character.judge
    if "lenient" in harms or drift == "lenient":
        return _flat(0.99, "Good work.")
    if "harsh" in harms or drift == "harsh":
        return _flat(0.08, "This does not convince me.")
    if drift == "random":
        draw = setting.noise.draw
        return _Marks(draw("c"), draw("o"), draw("r"), ("A matter of taste.",))
    return marks


def _flat(mark: float, reason: str) -> _Marks:
    return _Marks(mark, mark, mark, (reason,))
