"""The code in whatever a model answers."""

import ast
import re
from typing import Final

from graph import isolated
from graph.blocks import Block, blocks, parsed
from graph.errors import OutputError

_SHORT: Final = 4_000  # characters: a text of 4,000 is parsed six times at most, 30 ms
_LONGEST: Final = 200_000


async def extract_apart(answer: str) -> tuple[str, str]:
    """Split an answer as `extract` does; a long one in another process, not in the event loop.

    Raises:
        OutputError: there is no code in the answer, or it is too long to be read.
    """
    if len(answer) <= _SHORT:
        return extract(answer)
    if len(answer) > _LONGEST:
        raise OutputError(f"the answer is longer than {_LONGEST} characters")
    try:
        found = await isolated.call(_extracted, answer)
    except isolated.IsolatedCallError as error:
        raise OutputError("the answer takes too long to be read") from error
    if found is None:
        raise OutputError(_NONE)
    code, prose = found
    return code, prose


_NONE: Final = "the answer holds no code"


def _extracted(answer: str) -> tuple[str, str] | None:
    try:
        return extract(answer)
    except OutputError:
        return None


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
    raise OutputError(_NONE)


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
