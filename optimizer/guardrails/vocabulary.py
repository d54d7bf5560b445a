"""The words that a prompt may use because they are ours: of plain English, and of known work.

What a stranger wants in a prompt he has to name, and its name comes from the log. Words that the
log brings and nobody else has are his.
"""

import builtins
import json
import keyword
from collections import Counter
from functools import cache
from importlib.resources import files

from selfheal.graph.prompts import first_prompts
from selfheal.optimizer.dataset.cases import golden_requests
from selfheal.optimizer.instructions import load
from selfheal.optimizer.text.similarity import stem, stems

# A condition is tried by the gate only if golden requests meet it, and not just a few of them.
_OFTEN = 5
_UNSAFE = {"eval", "exec", "compile", "open", "breakpoint", "globals", "locals", "vars"}
# Of the standard library, what reaches nothing and nobody.
_MODULES = frozenset(
    {"abc", "bisect", "calendar", "collections", "copy", "dataclasses", "datetime", "decimal"}
    | {"difflib", "enum", "fractions", "functools", "heapq", "itertools", "json", "math"}
    | {"numbers", "operator", "re", "statistics", "string", "textwrap", "types", "typing"}
    | {"unicodedata"}
)
NAMES = frozenset(
    {*dir(builtins), *keyword.kwlist, *_MODULES, "__name__", "__main__", "__init__", "__all__"}
    - _UNSAFE
)
"""Python's own names: a prompt may say ValueError, None, or datetime."""


@cache
def general() -> frozenset[str]:
    """Return the stems that may say when something holds: of plain words, and of common work."""
    listed = (
        (files("selfheal.optimizer.guardrails") / "vocabulary.txt")
        .read_text(encoding="utf-8")
        .split()
    )
    ours = (*first_prompts().values(), load("diagnose"), load("write"))
    seen = Counter(word for case in golden_requests() for word in stems(case["request"]))
    often = {word for word, count in seen.items() if count >= _OFTEN}
    python = {stem(name.lower()) for name in NAMES}
    return frozenset({*map(stem, listed), *often, *python}.union(*map(stems, ours)))


@cache
def common() -> frozenset[str]:
    """Return the stems that are nobody's in particular, wherever else they occur."""
    lines = (files("selfheal.optimizer.dataset") / "golden" / "verdicts.jsonl").read_text(
        encoding="utf-8"
    )
    plans = (json.loads(line) for line in lines.splitlines())
    texts = [
        *(case["request"] for case in golden_requests()),
        *(text for each in plans for text in (each["request"], *each["plan"]["requirements"])),
    ]
    return general().union(*map(stems, texts))
