"""The code in whatever a model answers."""

import ast
import re

from graph.blocks import Block, blocks, parsed
from graph.errors import OutputError


def extract(answer: str) -> tuple[str, str]:
    """Split an answer into its code and the prose around it.

    Of several blocks the program is the one that says Python and defines something, the longest
    of these; blocks that define what it lacks come before it. An answer without a fence is code
    if it parses as more than a bare word or sentence.

    Raises:
        OutputError: there is no code in the answer.
    """
    lines = answer.replace("\r\n", "\n").split("\n")
    found = list(blocks(lines))
    if found:
        return "\n\n".join(each.body for each in _program(found)), _prose(lines, found)
    text = "\n".join(lines)
    if "```" not in text and _is_program(text):
        return text.strip() + "\n", ""
    raise OutputError("the answer holds no code")


def _program(found: list[Block]) -> list[Block]:
    """Return the main block, after those that define what it uses and does not define."""
    main = max(found, key=lambda block: block.worth)
    lacking, helpers = main.used - main.defined, list[Block]()
    for block in found:
        if block is not main and block.defined & lacking and not block.defined & main.defined:
            helpers.append(block)
            lacking -= block.defined
    return [*helpers, main]


def _prose(lines: list[str], found: list[Block]) -> str:
    """Return what stands outside all fences."""
    fenced = {at for block in found for at in range(block.first, block.last + 1)}
    text = "\n".join(line for at, line in enumerate(lines) if at not in fenced)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _is_program(text: str) -> bool:
    """Tell a program from a word or sentence that happens to parse."""
    tree = parsed(text)
    return tree is not None and any(
        not isinstance(each, ast.Expr) or isinstance(each.value, ast.Call) for each in tree.body
    )
