"""The code in whatever a model answers."""

import ast
import re

from graph.errors import OutputError
from graph.expressions import quietly

_FENCE = re.compile(
    r"^(?P<mark>`{3,}|~{3,})[ \t]*(?P<language>[\w+.-]*)[^\n]*\n(?P<body>.*?)"
    r"(?:^(?P=mark)[`~]*[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)
_PYTHON = {"python", "py", "python3", "py3"}


def extract(answer: str) -> tuple[str, str]:
    """Split an answer into its code and the prose around it.

    A fence that says Python wins over one that says nothing, the longest over the others; an
    answer without a fence is code if it parses as more than a bare word or sentence.

    Raises:
        OutputError: there is no code in the answer.
    """
    answer = answer.replace("\r\n", "\n")
    blocks = list(_FENCE.finditer(answer))
    if blocks:
        block = max(blocks, key=_worth)
        if body := _dedented(block["body"]):
            return body, _prose(answer, blocks)
    if not blocks and _is_program(answer):
        return answer.strip() + "\n", ""
    raise OutputError("the answer holds no code")


def _worth(block: re.Match[str]) -> tuple[bool, bool, int]:
    language = block["language"].lower()
    return language in _PYTHON, not language, len(block["body"])


def _dedented(body: str) -> str:
    """Return a block's body without the indent that a list item may have given it."""
    lines = body.strip("\n").rstrip().split("\n")
    indents = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    cut = min(indents, default=0)
    text = "\n".join(line[cut:] for line in lines)
    return text + "\n" if text.strip() else ""


def _prose(answer: str, blocks: list[re.Match[str]]) -> str:
    """Return what stands outside all fences."""
    for block in reversed(blocks):
        answer = answer[: block.start()] + answer[block.end() :]
    return re.sub(r"\n{3,}", "\n\n", answer).strip()


def _is_program(text: str) -> bool:
    """Tell a program from a word or sentence that happens to parse."""
    try:
        with quietly():
            body = ast.parse(text).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return any(not isinstance(statement, ast.Expr) for statement in body) or any(
        isinstance(statement.value, ast.Call)
        for statement in body
        if isinstance(statement, ast.Expr)
    )
