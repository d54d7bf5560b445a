"""The fenced blocks of a model's answer."""

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from graph.expressions import quietly

LONGEST: Final = 64_000  # a longer text would keep the parser busy for too long
_OPENING = re.compile(r"[ \t]*+(`{3,}+|~{3,}+)[ \t]*+([\w+.#-]*+)[^`]*+")
# What begins a triple-quoted string on a line, and what may hold quotation marks and is none.
_TOKEN = re.compile(r"#.*|'''|\"\"\"|'(?:[^'\\]|\\.)*+'?|\"(?:[^\"\\]|\\.)*+\"?|\\.")
_ENDS = {mark: re.compile(rf"(?:\\.|[^\\])*?{mark}") for mark in ("'''", '"""')}
_PYTHON = {"python", "py", "python3", "py3", "ipython", "ipython3"}
_MAYBE_PYTHON = {*_PYTHON, ""}
_MOST_ENDS = 5
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class Block:
    """A fenced text: its lines in the answer, fences included, its language, what is inside."""

    first: int
    last: int
    language: str
    body: str

    @cached_property
    def tree(self) -> ast.Module | None:
        """The body as Python, or None if it is none."""
        return parsed(self.body)

    @cached_property
    def defined(self) -> frozenset[str]:
        """The functions and classes that it defines at its top."""
        body = self.tree.body if self.tree else []
        return frozenset(each.name for each in body if isinstance(each, _DEFINITIONS))

    @cached_property
    def used(self) -> frozenset[str]:
        """The names that it reads."""
        nodes = ast.walk(self.tree) if self.tree else iter(())
        return frozenset(
            each.id
            for each in nodes
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)
        )

    @property
    def worth(self) -> tuple[bool, bool, bool, int]:
        """How likely it is the program: by its word, by what it defines, by its length."""
        return (
            self.language in _PYTHON,
            not self.language,
            bool(self.defined),
            len(self.body),
        )


def blocks(lines: list[str]) -> Iterator[Block]:
    """Yield the blocks that hold something; one that is never closed goes to the end."""
    at = 0
    while at < len(lines):
        opening = _OPENING.fullmatch(lines[at])
        if opening is None:
            at += 1
            continue
        block = _block(lines, at, opening[1], opening[2].lower())
        if block.body:
            yield block
        at = block.last + 1


def parsed(text: str) -> ast.Module | None:
    """Return the tree of a text, or None if it is no Python or too long to say."""
    if len(text) > LONGEST:
        return None
    try:
        with quietly():
            return ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _block(lines: list[str], first: int, mark: str, language: str) -> Block:
    """Return the block that a line opens.

    It ends at the first closing fence; but where that stands in a string of the program, and what
    is inside parses up to the first one behind the string, that is its end.
    """
    closing = re.compile(rf"[ \t]*{re.escape(mark)}{re.escape(mark[0])}*+[ \t]*")
    ends, quote = list[int](), ""
    for at in range(first + 1, len(lines)):
        if closing.fullmatch(lines[at]):
            ends.append(at)
            if not quote or len(ends) == _MOST_ENDS or language not in _MAYBE_PYTHON:
                break
        quote = _quote_after(lines[at], quote)
    end = ends[0] if ends else len(lines)
    nearest = Block(first, end, language, _body(lines[first + 1 : end]))
    if len(ends) < 2 or quote:
        return nearest
    farther = Block(first, ends[-1], language, _body(lines[first + 1 : ends[-1]]))
    return farther if farther.tree else nearest


def _quote_after(line: str, quote: str) -> str:
    """Return the marks of the triple-quoted string that is open after a line of Python.

    Args:
        line: the line.
        quote: those of the one that is open before it; empty if none is.
    """
    at = 0
    while True:
        found = (_ENDS[quote].match if quote else _TOKEN.search)(line, at)
        if found is None:
            return quote
        quote = "" if quote else found[0] if found[0] in _ENDS else ""
        at = found.end()


def _body(lines: list[str]) -> str:
    """Return the text without the indent that a list item may have given it."""
    text = textwrap.dedent("\n".join(lines)).strip("\n").rstrip()
    return text + "\n" if text else ""
