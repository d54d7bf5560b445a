"""The judge that nobody should write: it runs a program in its own process and asks `==`.

Runs alone, `python -I -S -B naive.py`, as the control of every attack: what an attack can do at
all, it can do here. The job comes as JSON on standard input, the verdict leaves on standard output.
"""

import json
import sys

job = json.loads(sys.stdin.readline())
names: dict[str, object] = {"__name__": "__program__"}
sys.modules["__program__"] = type(sys)("__program__")


def same(value: object, expected: object) -> bool:
    if isinstance(expected, type):
        return expected.__name__ in {base.__name__ for base in type(value).__mro__}
    return bool(value == expected)


def answer(call: str) -> object:
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
