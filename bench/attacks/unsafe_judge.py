"""An unsafe judge: it runs a program in its own process and compares with `==`.

It runs alone, `python -I -S -B unsafe_judge.py`, as the control of every attack: whatever an attack
XX
"""

import json
import sys

job = json.loads(sys.stdin.readline())
names: dict[str, object] = {"__name__": "__program__"}
sys.modules["__program__"] = type(sys)("__program__")


def same(value: object, expected: object) -> bool:
    """Compare as `==` does, which the program may have redefined; a type stands for a raise."""
    if isinstance(expected, type):
        return expected.__name__ in {base.__name__ for base in type(value).__mro__}
    return bool(value == expected)


def answer(call: str) -> object:
    """Return what a call returns, or the class of what it raises."""
    try:
        return eval(call, names)
    except Exception as problem:
        print(json.dumps({"raised": type(problem).__name__, "message": str(problem)}))
        return problem


exec(compile(job["code"], "__program__", "exec"), names)
answers = [answer(call) for call in job["calls"]]
expected = [eval(text, names) for text in job["expected"]]
passed = all(map(same, answers, expected))
print(json.dumps({"passed": passed}))
