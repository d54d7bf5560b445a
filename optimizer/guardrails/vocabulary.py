"""The words that a candidate may use: of plain English, of Python, and of the golden requests.

An injected instruction has to name its subject, and the name comes from untrusted text. So words
that occur only there are violations.
"""

import builtins
import keyword
from collections import Counter
from functools import cache
from importlib.resources import files

from selfheal.graph.prompts import first_prompts
from selfheal.optimizer.dataset.cases import golden_requests, golden_rows
from selfheal.optimizer.instructions import load
from selfheal.optimizer.text.similarity import stem, stems

# The gate exercises a condition only if several golden requests meet it.
_OFTEN = 5
_UNSAFE = {"eval", "exec", "compile", "open", "breakpoint", "globals", "locals", "vars"}
# Modules of the standard library that reach neither files, nor processes, nor the network.
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
"""Names of Python that a prompt may mention, such as ValueError, None or datetime."""


@cache
def general_vocabulary() -> frozenset[str]:
    """Return the stems that a condition may contain: of plain words and of frequent subjects."""
    file = files("selfheal.optimizer.guardrails") / "vocabulary.txt"
    listed = file.read_text(encoding="utf-8").split()
    ours = (*first_prompts().values(), load("diagnose"), load("write"))
    seen = Counter(word for case in golden_requests() for word in stems(case["request"]))
    often = {word for word, count in seen.items() if count >= _OFTEN}
    python = {stem(name.lower()) for name in NAMES}
    return frozenset({*map(stem, listed), *often, *python}.union(*map(stems, ours)))


@cache
def common_vocabulary() -> frozenset[str]:
    """Return the stems that are no evidence of copying, although untrusted text contains them."""
    texts = [case["request"] for case in golden_requests()]
    for row in golden_rows("verdicts.jsonl"):
        texts += [row["request"], *row["plan"]["requirements"]]
    return general_vocabulary().union(*map(stems, texts))
