"""What prompts do to code: every sound prompt sound, every defect as strong as it says.

A task passes when the worker's code, written from the manager's plan, holds on all of the bank's
examples, and 0.4 + 0.6 times the judge's mark reaches 0.6, as in the product. The bank's code is
ours and harmless, so it runs in a plain subprocess with limits. The strengths were measured on the
whole bank; to be quick, the tests look at two thirds of it.
"""

import json
import re
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from selfheal.simulator.bank import load_bank
from selfheal.simulator.call import Call
from selfheal.simulator.defects import Defect, load_defects
from selfheal.simulator.inspection import inspect
from selfheal.simulator.mutations import MUTATIONS, mutate
from selfheal.simulator.personas import answer
from selfheal.simulator.seeded_noise import Noise
from selfheal.simulator.state import State
from selfheal.simulator.tasks import Task

SOUND = {
    "manager": (
        "You plan Python programs. State concrete, testable requirements, cover edge cases and "
        "invalid input, give the exact signature with the requested name and parameters, and add "
        "a few example calls with their results."
    ),
    "worker": (
        "You are a Python programmer. Write a complete, working implementation of the plan, with "
        "exactly the function name and parameters of its signature. Handle edge cases and invalid "
        "input. Make sure that the examples hold. Give type hints and docstrings. Answer with one "
        "Python code block."
    ),
    "evaluator": (
        "You review Python code. Compare it with the request and the plan, look at edge cases and "
        "missing parts, and give a reason for each mark."
    ),
}
PROPERTIES = {
    "manager": ("title", "requirements", "signature", "examples"),
    "evaluator": ("correctness", "completeness", "readability", "reasons"),
}
# Mutations that leave tasks of some kinds alone, such as those without an import or a list.
PARTIAL = {"no_imports", "generators", "bundle", "strings"}
RUNNER = """
import ast, json, resource, signal, sys
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
def late(*_): raise TimeoutError
signal.signal(signal.SIGALRM, late)
def holds(space, row):
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        value = eval(row["call"], space)
        return "returns" in row and value == ast.literal_eval(row["returns"])
    except Exception as error:
        return type(error).__name__ == row.get("raises")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
def share(code, rows):
    space = {"__name__": "tested"}
    try:
        exec(code, space)
    except Exception:
        return 0.0
    return sum(holds(space, row) for row in rows) / len(rows)
real, sys.stdout = sys.stdout, open("/dev/null", "w")
json.dump([share(code, rows) for code, rows in json.load(sys.stdin)], real)
"""


def shares(jobs: Sequence[tuple[str, Sequence[Mapping[str, str]]]]) -> list[float]:
    """Return the share of the examples that holds, for each (code, examples)."""
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[float] = json.loads(done.stdout)
    return found


def ask(state: State, agent: str, prompt: str, /, **blocks: str) -> Any:
    """Put one call to a persona, fenced as the product fences."""
    nonce = secrets.token_hex(8)
    text = "\n".join(
        f'<data id="{nonce}" of="{of}">\n{body}\n</data id="{nonce}">'
        for of, body in blocks.items()
    )
    names = PROPERTIES.get(agent)
    schema: dict[str, Any] | None = {"properties": {name: {} for name in names}} if names else None
    call = Call("m", prompt, text, schema)
    return answer(call, state.answer_context(call))


def fenced(text: str) -> str:
    found = re.findall(r"```python\n(.*?)\n```", text, re.DOTALL)
    return found[-1] if found else text


def run(state: State, task: Task, request: str, prompts: Mapping[str, str]) -> tuple[str, float]:
    """Return the code that comes out, and the judge's mark; a mark that is unusable is 0."""
    plan = json.dumps(ask(state, "manager", prompts["manager"], request=request))
    code = fenced(ask(state, "worker", prompts["worker"], request=request, plan=plan))
    said = ask(state, "evaluator", prompts["evaluator"], request=request, plan=plan, code=code)
    mark = 0.6 * said["correctness"] + 0.25 * said["completeness"] + 0.15 * said["readability"]
    usable = all(0 <= said[name] <= 1 for name in ("correctness", "completeness", "readability"))
    return code, mark if usable else 0.0


def pass_rate(prompts: Mapping[str, str], seed: int = 0) -> float:
    """Return the share that passes under the prompts, of every third task of the bank."""
    state = State(load_bank(), seed=seed)
    tasks = list(state.bank.tasks.values())[seed::3]
    runs = [run(state, each, each.requests[seed % 3], prompts) for each in tasks]
    held = shares([(code, task.examples) for (code, _), task in zip(runs, tasks, strict=True)])
    passed = [
        share == 1 and 0.4 + 0.6 * mark >= 0.6 for share, (_, mark) in zip(held, runs, strict=True)
    ]
    return sum(passed) / len(passed)


def test_sound_prompts_fail_only_by_noise() -> None:
    assert 0.93 <= pass_rate(SOUND) < 1


@pytest.mark.parametrize("defect", load_defects(), ids=lambda defect: defect.name)
def test_a_defect_is_as_strong_as_it_says(defect: Defect) -> None:
    rates = [pass_rate(SOUND | {defect.agent: defect.prompt}, seed) for seed in range(2)]
    assert sum(rates) / 2 == pytest.approx(defect.strength, abs=0.1), rates


def test_there_are_enough_defects_of_each_agent() -> None:
    defects = load_defects()
    count = Counter(defect.agent for defect in defects)
    assert (defects[0].name, defects[0].strength) == ("hello-world", 0.0)
    assert count["worker"] >= 5
    assert count["manager"] >= 2
    assert count["evaluator"] >= 2
    assert len({defect.name for defect in defects}) == len(defects)


@pytest.mark.parametrize("kind", MUTATIONS)
def test_a_mutation_is_python_and_changes_what_most_tasks_do(kind: str) -> None:
    tasks = load_bank().tasks.values()
    changed = [mutate(kind, task.solution, task.name, Noise(task.name)) for task in tasks]
    found = shares([(code, t.examples) for code, t in zip(changed, tasks, strict=True)])
    hurt = sum(share < 1 for share in found) / len(found)
    if kind in {"strip_types", "strip_docs"}:
        assert hurt == 0
    else:
        assert hurt > (0.15 if kind in PARTIAL else 0.75)


def test_every_solution_of_the_bank_holds_on_its_examples() -> None:
    tasks = load_bank().tasks.values()
    found = shares([(task.solution, task.examples) for task in tasks])
    assert [task.name for task, share in zip(tasks, found, strict=True) if share < 1] == []


def test_every_solution_is_documented_and_typed() -> None:
    found = {
        task.name: inspect(task.solution, task.name, task) for task in load_bank().tasks.values()
    }
    assert [name for name, each in found.items() if not (each.documented and each.typed)] == []
    assert {each.verdict for each in found.values()} == {"sound"}
