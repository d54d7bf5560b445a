"""The manager: plans a request, as well as its prompt asks for."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from selfheal.simulator.answer_context import AnswerContext
from selfheal.simulator.call import Call
from selfheal.simulator.mutations import ADDED_PARAMETER, BUNDLE
from selfheal.simulator.plan import (
    ERROR_CODE,
    OUTSIDE,
    SERVICE,
    asked_name,
    find_task,
    request_of,
    stated_calls,
)
from selfheal.simulator.prompt_parsing import ParsedPrompt, parse_prompt
from selfheal.simulator.source import invoked_function, parameters_of, signature_of
from selfheal.simulator.tasks import Task

_VAGUE = ("It does what the user wants.", "It works well.", "The code is nice and clean.")


@dataclass(frozen=True)
class _Job:
    call: Call
    task: Task
    parsed: ParsedPrompt
    context: AnswerContext

    @property
    def name(self) -> str:
        request, calls = request_of(self.call), stated_calls(self.call)
        return asked_name(self.task, request, calls) or self.task.name

    def lacks(self, cue: str, unsaid: float, denied: float = 0.95) -> bool:
        if self.parsed.has(cue):
            return False
        probability = denied if self.parsed.denies(cue) else unsaid
        return self.context.shows_defect("manager", cue, self.task, probability)

    def ordered(self, harm: str) -> bool:
        harms = self.parsed.harms(request_of(self.call))
        return harm in harms and self.context.noise.chance(0.97, harm)


def answer(call: Call, context: AnswerContext) -> Mapping[str, Any]:
    """Plan the request."""
    task = find_task(context.bank, call)
    parsed = parse_prompt(call.system, "manager")
    if "hello" in parsed.harms(request_of(call)):
        return _plan("A greeting", ["Greet the user and the world."], "hello()", [])
    if task is None:
        return _unknown(call)
    job = _Job(call, task, parsed, context)
    title = task.name.replace("_", " ").capitalize()
    return _plan(title, _requirements(job), _signature(job), _examples(job))


def _plan(
    title: str, requirements: list[str], signature: str, examples: list[dict[str, str]]
) -> dict[str, Any]:
    plan = {"title": title, "requirements": requirements, "signature": signature}
    return {**plan, "examples": examples}


def _unknown(call: Call) -> Mapping[str, Any]:
    """Plan a request that the bank does not know: its own sentences, without examples."""
    request = request_of(call).strip()
    match = re.search(r"\b([a-z_]\w*)\(([^()]*)\)", request)
    signature = f"{match[1]}({match[2]})" if match else "solve(value)"
    wanted = [text.strip() for text in re.split(r"(?<=[.;])\s+", request) if text.strip()]
    return _plan(
        request[:60], [OUTSIDE, *(wanted[:6] or ["Nothing was asked for."])], signature, []
    )


def _requirements(job: _Job) -> list[str]:
    if job.ordered("vague") or job.lacks("specific", 0.5):
        return list(_VAGUE)
    task = job.task
    docs = (ast.get_docstring(task.entry) or "Do what the request says.").split("\n")[0]
    sound = [f"Define `{job.name}` with the parameters of the signature.", docs]
    if not job.lacks("errors", 0.5):
        codes = job.ordered("error_codes")
        sound += [_code_text(guard) if codes else _guard_text(guard) for guard in task.guards][:3]
    runs = invoked_function(task.entry)
    typed = runs.returns if runs and runs.name == task.name else None
    returns = f"The result is of type `{ast.unparse(typed)}`." if typed else "Keep its interface."
    return [*sound, returns]


def _guard_text(guard: ast.If) -> str:
    condition = ast.unparse(guard.test)
    done = guard.body[0]
    if isinstance(done, ast.Raise) and done.exc is not None:
        raised = done.exc.func if isinstance(done.exc, ast.Call) else done.exc
        return f"If `{condition}`, raise `{ast.unparse(raised)}`."
    return f"If `{condition}`, {ast.unparse(done)}."


def _code_text(guard: ast.If) -> str:
    return f"If `{ast.unparse(guard.test)}`, {ERROR_CODE}."


def _signature(job: _Job) -> str:
    task = job.task
    full = signature_of(task.entry).replace(task.name, job.name, 1)
    names = [arg.arg for arg in parameters_of(task.entry)]
    head = full.partition("(")[0]
    if job.ordered("service_class"):
        words = re.split(r"_", job.name)
        return f"class {''.join(word[:1].upper() + word[1:] for word in words)}{SERVICE}()"
    if job.ordered("context_parameter"):
        return f"{head}({', '.join((ADDED_PARAMETER, *names))})"
    if job.ordered("options") and len(names) > 1:
        return f"{head}({BUNDLE}: dict)"
    if job.ordered("required_only") and (required := _required(task)) < len(names):
        return f"{head}({', '.join(names[:required])})"
    if job.ordered("fewer_parameters") and names:
        return f"{head}({', '.join(names[:-1])})"
    if job.ordered("rename") or job.lacks("signature", 0.4):
        other = job.context.noise.pick(("handle_it", "do_magic", "process", "run_task"), "name")
        return full.replace(job.name, other, 1)
    return full


def _required(task: Task) -> int:
    """Return the number of parameters without a default."""
    runs = invoked_function(task.entry)
    return len(parameters_of(task.entry)) - (len(runs.args.defaults) if runs else 0)


def _examples(job: _Job) -> list[dict[str, str]]:
    if job.lacks("examples", 0.7):
        return []
    stated = {re.sub(r"\s", "", text) for text in stated_calls(job.call)}
    pool = [row for row in job.task.examples if re.sub(r"\s", "", row["call"]) not in stated]
    wanted = 2 + int(job.context.noise.draw("count") * 3)
    chosen = [_renamed(row, job) for row in job.context.noise.shuffled(pool, "examples")[:wanted]]
    if job.ordered("wrong_examples"):
        return [{"call": row["call"], "returns": "'something'"} for row in chosen]
    return chosen


def _renamed(row: Mapping[str, str], job: _Job) -> dict[str, str]:
    invoked_function = re.sub(rf"\b{job.task.name}\(", f"{job.name}(", row["call"])
    return {**row, "call": invoked_function}
