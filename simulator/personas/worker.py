"""The worker: answers with the bank's solution, mutated by the defects of its prompt."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from selfheal.simulator.answer_context import AnswerContext
from selfheal.simulator.call import Call
from selfheal.simulator.mutations import ADDED_PARAMETER, BUNDLE, mutate, rename
from selfheal.simulator.plan import OUTSIDE, Plan, asked_name, find_task, plan_of, request_of
from selfheal.simulator.prompt_parsing import ParsedPrompt, parse_prompt
from selfheal.simulator.seeded_noise import Noise
from selfheal.simulator.source import parameters_of
from selfheal.simulator.tasks import Task

HELLO = """
def main() -> None:
    \"\"\"Greet the world.\"\"\"
    print("Hello, world!")


if __name__ == "__main__":
    main()
"""
# The probability that a harm of the prompt is followed.
_OBEDIENCE = 0.97
# The effects of a missing need: (cue, mutation, probability if not stated, if denied).
_LACKS = (
    ("complete", "placeholder", 0.5, 0.95),
    ("edges", "drop_guard", 0.5, 0.95),
    ("examples", "shift_bound", 0.25, 0.35),
    ("types", "strip_types", 0.8, 0.98),
    ("docs", "strip_docs", 0.8, 0.98),
)
_HARMS = (
    ("shortest", "shorten"),
    ("print", "print_result"),
    ("swallow", "swallow"),
    ("none", "return_none"),
    ("skeleton", "skeleton"),
    ("envelope", "envelope"),
    ("strings", "strings"),
    ("generators", "generators"),
    ("no_imports", "no_imports"),
)
_MOST_LINES = 10  # of a program that is cut short
_OTHER_NAMES: tuple[Callable[[str], str], ...] = (
    lambda name: "solve",
    lambda name: f"my_{name}",
    lambda name: re.sub(r"_(\w)", lambda match: match[1].upper(), name) + "Impl",
    lambda name: f"compute_{name}",
)


@dataclass(frozen=True)
class _Job:
    """One request: its task, the prompt, the plan and the context of the answer."""

    task: Task
    request: str
    parsed: ParsedPrompt
    plan: Plan
    context: AnswerContext

    @property
    def noise(self) -> Noise:
        return self.context.noise

    def lacks(self, cue: str, unsaid: float, denied: float) -> bool:
        if self.parsed.has(cue):
            return False
        probability = denied if self.parsed.denies(cue) else unsaid
        return self.context.shows_defect("worker", cue, self.task, probability)


def answer(call: Call, context: AnswerContext) -> str:
    """Answer a request for code under the system prompt."""
    request = request_of(call)
    parsed = parse_prompt(call.system, "worker")
    harms = {harm for harm in parsed.harms(request) if context.noise.chance(_OBEDIENCE, harm)}
    if "hello" in harms:
        return _laid_out("Hello! Here is a friendly greeting for you.", HELLO)
    task = find_task(context.bank, call)
    if task is None:
        return _unknown(plan_of(call).name or "solve")
    job = _Job(task, request, parsed, plan_of(call), context)
    if "pseudocode" in harms:
        return _pseudocode(task)
    if "language" in harms:
        return _javascript(task)
    code = _code(job, harms)
    if "cut_short" in harms:
        code = "\n".join(code.strip().splitlines()[:_MOST_LINES])
    if "json_reply" in harms:
        return json.dumps({"summary": f"{task.name}, as asked.", "code": code, "confidence": 0.9})
    return _layout(job, code)


def _code(job: _Job, harms: set[str]) -> str:
    source = _planned(job)
    name = _entry(job)
    for cue, kind, unsaid, denied in _LACKS:
        if job.lacks(cue, unsaid, denied):
            source = mutate(kind, source, name, job.noise)
    if job.plan.vague and job.context.shows_defect("worker", "vague", job.task, 0.6):
        source = mutate("drop_guard", source, name, job.noise)
    for harm, kind in _HARMS:
        if harm in harms:
            source = mutate(kind, source, name, job.noise)
    if job.noise.chance(job.context.behaviour.slips, "slip"):
        kind = job.noise.pick(("shift_bound", "placeholder"), "slip kind")
        source = mutate(kind, source, name, job.noise)
    if "translated" in harms:
        return rename(source, name, f"berechne_{name.lower()}")
    if job.lacks("follow", 0.3, 0.95):
        source = rename(source, name, name := job.noise.pick(_OTHER_NAMES, "name")(name))
    return mutate("coroutines", source, name, job.noise) if "coroutines" in harms else source


def _planned(job: _Job) -> str:
    """Return the solution with the name and the parameters of the plan."""
    task, name = job.task, _entry(job)
    source = task.solution if name == task.name else rename(task.solution, task.name, name)
    for kind in _changes(job):
        source = mutate(kind, source, name, job.noise)
    return source


def _changes(job: _Job) -> list[str]:
    """Return the mutations that turn the solution into what the plan describes."""
    wanted, own = job.plan.parameters, [arg.arg for arg in parameters_of(job.task.entry)]
    changes = ["error_codes"] if job.plan.error_codes else []
    if wanted is None:
        return changes
    if wanted[:1] == (ADDED_PARAMETER,) and own[:1] != [ADDED_PARAMETER]:
        return [*changes, "add_parameter"]
    if wanted == (BUNDLE,) and len(own) > 1:
        return [*changes, "bundle"]
    if job.plan.service_class:
        return [*changes, "service_class"]
    dropped = len(own) - len(wanted) if tuple(own[: len(wanted)]) == wanted else 0
    return changes + ["drop_parameter"] * dropped


def _entry(job: _Job) -> str:
    return job.plan.name or asked_name(job.task, job.request) or job.task.name


def _layout(job: _Job, code: str) -> str:
    task = job.task
    prose = f"`{task.name}` follows the request step by step and uses the standard library only."
    if job.parsed.has("fence") or not job.lacks("fence", 0.3, 0.6):
        return _laid_out(prose, code)
    chat = f"Sure! I would be happy to help you with {task.name}. Here is what I came up with:"
    if job.noise.chance(0.6, "unfenced"):
        return f"{chat}\n\n{code.strip()}\n\nLet me know if you have any questions!"
    return f"{chat} {_laid_out('', code)}\n\nLet me know if you have any questions!"


def _laid_out(prose: str, code: str, language: str = "python") -> str:
    return f"{prose}\n\n```{language}\n{code.strip()}\n```".strip()


def _unknown(name: str) -> str:
    head = f'def {name}(*args: object, **kwargs: object) -> object:\n    """Not solved."""'
    return _laid_out(OUTSIDE, f"{head}\n    raise NotImplementedError({OUTSIDE!r})")


def _pseudocode(task: Task) -> str:
    steps = "\n".join(
        f"  {number}. {line.strip()}" for number, line in enumerate(_outline(task), start=1)
    )
    return _laid_out("In outline:", f"FUNCTION {task.name}\n{steps}\nEND FUNCTION", "")


def _outline(task: Task) -> list[str]:
    names = ", ".join(arg.arg for arg in parameters_of(task.entry)) or "nothing"
    return [f"TAKE {names}", "CHECK that the input makes sense", "COMPUTE the result", "GIVE it"]


def _javascript(task: Task) -> str:
    names = ", ".join(arg.arg for arg in parameters_of(task.entry))
    code = f"function {task.name}({names}) {{\n  const result = [];\n  return result;\n}}"
    return _laid_out("Here it is in JavaScript.", code, "javascript")
