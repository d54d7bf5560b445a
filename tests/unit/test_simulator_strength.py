"""What prompts do to code: every sound prompt sound, every defect as strong as it says.

A task passes when the worker's code, written from the manager's plan, holds on all of the bank's
examples, and 0.4 + 0.6 × the judge's mean mark reaches 0.6. The bank's code is ours and harmless,
so it runs in a plain subprocess with limits.
"""

import ast
import json
import re
import secrets
import subprocess
import sys

import pytest

from simulator.bank import load_bank
from simulator.call import Call
from simulator.defects import load_defects
from simulator.personas import answer
from simulator.state import State

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


def shares(jobs):
    """Return the share of the examples that holds, for each (code, examples)."""
    done = subprocess.run(
        [sys.executable, "-c", RUNNER], input=json.dumps(jobs), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ask(state, agent, prompt, **blocks):
    """Put one call to a persona, fenced as the product fences."""
    nonce = secrets.token_hex(8)
    text = "\n".join(
        f'<data id="{nonce}" of="{of}">\n{body}\n</data id="{nonce}">'
        for of, body in blocks.items()
    )
    names = PROPERTIES.get(agent)
    schema = {"properties": {name: {} for name in names}} if names else None
    call = Call("m", prompt, text, schema)
    return answer(call, state.setting(call))


def fenced(text):
    found = re.findall(r"```python\n(.*?)\n```", text, re.DOTALL)
    return found[-1] if found else text


def pass_rate(prompts, seed=0):
    """Return the share of the bank's tasks that pass under the prompts."""
    state = State(load_bank(), seed=seed)
    jobs, marks = [], []
    for task in state.bank.tasks.values():
        request = task.requests[seed % len(task.requests)]
        plan = json.dumps(ask(state, "manager", prompts["manager"], request=request))
        code = fenced(ask(state, "worker", prompts["worker"], request=request, plan=plan))
        said = ask(state, "evaluator", prompts["evaluator"], request=request, plan=plan, code=code)
        marks.append(sum(said[n] for n in PROPERTIES["evaluator"][:3]) / 3)
        jobs.append((code, task.examples))
    held = [share == 1 for share in shares(jobs)]
    passed = [ok and 0.4 + 0.6 * mark >= 0.6 for ok, mark in zip(held, marks, strict=True)]
    return sum(passed) / len(passed)


def test_sound_prompts_fail_only_by_noise():
    assert pass_rate(SOUND) >= 0.92


@pytest.mark.parametrize("defect", load_defects(), ids=lambda defect: defect.name)
def test_a_defect_is_as_strong_as_it_says(defect):
    rates = [pass_rate(SOUND | {defect.agent: defect.prompt}, seed) for seed in range(2)]
    print(defect.name, rates)
    assert sum(rates) / 2 == pytest.approx(defect.strength, abs=0.1)


def test_every_solution_of_the_bank_holds_on_its_examples():
    tasks = load_bank().tasks.values()
    found = shares([(task.solution, task.examples) for task in tasks])
    assert [task.name for task, share in zip(tasks, found, strict=True) if share < 1] == []


def test_every_solution_is_python_with_docstring_and_types():
    for task in load_bank().tasks.values():
        assert ast.get_docstring(task.entry), task.name
        assert task.entry.returns is not None, task.name
