"""The manager: turns a request into a plan, as sound as its prompt asks for."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from selfheal.simulator.call import Call
from selfheal.simulator.plan import OUTSIDE, asked_name, find_task, request_of, stated_calls
from selfheal.simulator.reading import Reading, read
from selfheal.simulator.source import called, parameters_of, signature_of
from selfheal.simulator.tasks import Task
from selfheal.simulator.world import Setting

_VAGUE = ("It does what the user wants.", "It works well.", "The code is nice and clean.")


@dataclass(frozen=True)
class _Job:
    call: Call
    task: Task
    reading: Reading
    setting: Setting

    @property
    def name(self) -> str:
        request, calls = request_of(self.call), stated_calls(self.call)
        return asked_name(self.task, request, calls) or self.task.name

    def lacks(self, cue: str, unsaid: float, denied: float = 0.95) -> bool:
        if self.reading.has(cue):
            return False
        probability = denied if self.reading.denies(cue) else unsaid
        return self.setting.habit("manager", cue, self.task, probability)

    def told(self, harm: str) -> bool:
        harms = self.reading.harms(request_of(self.call))
        return harm in harms and self.setting.noise.chance(0.97, harm)


def answer(call: Call, setting: Setting) -> Mapping[str, Any]:
    """Plan the request."""
    task = find_task(setting.bank, call)
    reading = read(call.system, "manager")
    if "hello" in reading.harms(request_of(call)):
        return _plan("A greeting", ["Greet the user and the world."], "hello()", [])
    if task is None:
        return _unknown(call)
    job = _Job(call, task, reading, setting)
    title = task.name.replace("_", " ").capitalize()
    return _plan(title, _requirements(job), _signature(job), _examples(job))


def _plan(
    title: str, requirements: list[str], signature: str, examples: list[dict[str, str]]
) -> dict[str, Any]:
    return {
        "title": title,
        "requirements": requirements,
        "signature": signature,
        "examples": examples,
    }


def _unknown(call: Call) -> Mapping[str, Any]:
    """Plan what the bank does not know: a word on that, the request's own words, no example."""
    request = request_of(call).strip()
    found = re.search(r"\b([a-z_]\w*)\(([^()]*)\)", request)
    signature = f"{found[1]}({found[2]})" if found else "solve(value)"
    wanted = [text.strip() for text in re.split(r"(?<=[.;])\s+", request) if text.strip()]
    return _plan(
        request[:60], [OUTSIDE, *(wanted[:6] or ["Nothing was asked for."])], signature, []
    )


def _requirements(job: _Job) -> list[str]:
    if job.told("vague") or job.lacks("specific", 0.5):
        return list(_VAGUE)
    task = job.task
    docs = (ast.get_docstring(task.entry) or "Do what the request says.").split("\n")[0]
    sound = [f"Define `{job.name}` with the parameters of the signature.", docs]
    if not job.lacks("errors", 0.5):
        sound += [_guard_text(guard) for guard in task.guards][:3]
    runs = called(task.entry)
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


def _signature(job: _Job) -> str:
    task = job.task
    full = signature_of(task.entry).replace(task.name, job.name, 1)
    names = [arg.arg for arg in parameters_of(task.entry)]
    if job.told("fewer_parameters") and names:
        return f"{full.partition('(')[0]}({', '.join(names[:-1])})"
    if job.told("rename") or job.lacks("signature", 0.4):
        other = job.setting.noise.pick(("handle_it", "do_magic", "process", "run_task"), "name")
        return full.replace(job.name, other, 1)
    return full


def _examples(job: _Job) -> list[dict[str, str]]:
    if job.lacks("examples", 0.7):
        return []
    stated = {re.sub(r"\s", "", text) for text in stated_calls(job.call)}
    pool = [row for row in job.task.examples if re.sub(r"\s", "", row["call"]) not in stated]
    wanted = 2 + int(job.setting.noise.draw("count") * 3)
    chosen = [_renamed(row, job) for row in job.setting.noise.shuffled(pool, "examples")[:wanted]]
    if job.told("wrong_examples"):
        return [{"call": row["call"], "returns": "'something'"} for row in chosen]
    return chosen


def _renamed(row: Mapping[str, str], job: _Job) -> dict[str, str]:
    called = re.sub(rf"\b{job.task.name}\(", f"{job.name}(", row["call"])
    return {**row, "call": called}
