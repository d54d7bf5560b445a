"""Extraction of the program from a model's answer."""

import ast
import re
from typing import Final

from selfheal.app.errors import OutputError
from selfheal.graph.parsing.code_blocks import LONGEST_PARSED, Block, parsed, split

LONGEST: Final = 260_000  # characters; time grows with them, to some 30 ms
# The begin of a program, for texts that are too long to be parsed here.
_BEGINNING: Final = re.compile(
    r"(?:\s|#[^\n]*\n)*+(?:import[ \t]+\w|from[ \t]+[\w.]+[ \t]+import\b|class[ \t]+\w+[ \t]*[:(]"
    r"|(?:async[ \t]+)?def[ \t]+\w+[ \t]*\(|@\w|[\"']{3}|\w+[ \t]*(?::[^=\n]*)?=[^=])"
)


def extract(answer: str, wanted: str | None = None) -> tuple[str, str]:
    """Split an answer into its code and the prose around it.

    Of several blocks the program is the one that defines the wanted name, else the longest one that
    is marked as Python and defines something. Blocks that define names which it lacks come before
    it. An answer without a fence is code if it parses as more than a bare word or sentence.

    Args:
        answer: the model's answer.
        wanted: the name that the program must define, if one is known.

    Returns:
        The code, which ends with a line break, and the prose.

    Raises:
        OutputError: the answer holds no code, or is too long.
    """
    if len(answer) > LONGEST:
        raise OutputError(f"the answer is longer than {LONGEST} characters")
    text = answer.replace("\r\n", "\n")
    found, prose = split(text)
    if found:
        return "\n\n".join(each.body for each in _program(found, wanted)), prose
    text = re.sub("`{3,}|~{3,}", "", text)  # an unpaired fence
    if _is_program(text):
        return text.strip() + "\n", ""
    raise OutputError("the answer holds no code")


def _program(found: list[Block], wanted: str | None) -> list[Block]:
    """Return the main block, after blocks that define names which it only uses."""
    main = max(found, key=lambda block: block.worth(wanted))
    lacking, helpers = main.used - main.defined, list[Block]()
    for block in found:
        if block is not main and block.defined & lacking and not block.defined & main.defined:
            helpers.append(block)
            lacking -= block.defined
    return [*helpers, main]


def _is_program(text: str) -> bool:
    """Return whether a text is a program, not a word or sentence that happens to parse."""
    if len(text) > LONGEST_PARSED:
        return _BEGINNING.match(text) is not None
    tree = parsed(text)
    return tree is not None and any(
        not isinstance(each, ast.Expr) or isinstance(each.value, ast.Call) for each in tree.body
    )
