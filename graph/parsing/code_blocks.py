"""The fenced blocks of a model's answer, found in one pass, in linear time.

Fences are recognised as models write them, more loosely than in Markdown: a fence may be at the end
of the last line of code or after prose, and one inside a string of the program does not count.
"""

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Final, NamedTuple

from selfheal.graph.parsing.literals import quietly

LONGEST_PARSED: Final = 4_000  # characters; the parser could take too long for a longer text
MOST_BLOCKS: Final = 500
MOST_RUNS: Final = 5_000  # of backticks or tildes that open or close nothing
_PYTHON: Final = {"python", "py", "python3", "py3", "ipython", "ipython3"}
_RUN: Final = re.compile(r"`{3,}|~{3,}")
_WORD: Final = re.compile(r"\{?\.?([\w+.#-]*)\}?")
_CODE_WORD: Final = re.compile(r"(?:(?:async[ \t]+)?def|class|import|from|@)[ \t]*\w")
_DEFINED: Final = re.compile(r"^(?:(?:async[ \t]+)?def|class)[ \t]+(\w+)", re.MULTILINE)
_NAME: Final = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language in lower case, and its text unchanged."""

    language: str
    text: str

    @cached_property
    def body(self) -> str:
        """The text without common indentation, which it has in a list item."""
        text = self.text.strip("\n").rstrip()
        if text[:1].isspace():
            text = textwrap.dedent(text)
        return text + "\n" if text else ""

    @cached_property
    def defined(self) -> frozenset[str]:
        """The functions and classes that it defines at top level."""
        return frozenset(_DEFINED.findall(self.body))

    @cached_property
    def used(self) -> frozenset[str]:
        """The names that occur in it."""
        return frozenset(_NAME.findall(self.body))

    def worth(self, wanted: str | None) -> tuple[bool, bool, bool, bool, int]:
        """Return a sort key for how likely it is the program: definitions, language, length."""
        may_be_python = self.language in _PYTHON or not self.language
        return (
            may_be_python and wanted is not None and self.binds(wanted),
            self.language in _PYTHON,
            not self.language,
            bool(self.defined),
            len(self.body),
        )

    def binds(self, name: str) -> bool:
        """Return whether it binds a name at top level."""
        bound = rf"^{re.escape(name)}[ \t]*(?::[^=\n]*)?=(?!=)"
        return name in self.defined or re.search(bound, self.body, re.MULTILINE) is not None


class _Opening(NamedTuple):
    """The begin of a block.

    Attributes:
        start: where the prose before it ends.
        mark: the fence.
        language: in lower case.
        text: where its text begins.
    """

    start: int
    mark: str
    language: str
    text: int


class _Ending(NamedTuple):
    """Where a block's text ends, and where what follows the block begins."""

    text: int
    after: int


class _Line:
    """The line around a position in a text; positions must increase, so one pass is enough."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self.start = start
        self.end = start - 1
        self.begun = False

    def reach(self, run: re.Match[str]) -> None:
        """Move to the line of a run of marks; `begun`: there is text before the run."""
        if run.start() > self.end:
            self.start = self._text.rfind("\n", self.start, run.start()) + 1 or self.start
            end = self._text.find("\n", run.end())
            self.end = len(self._text) if end < 0 else end
            self.begun = bool(self._text[self.start : run.start()].strip())
        else:
            self.begun = True

    def follows(self, run: re.Match[str]) -> str | None:
        """Return the text after a run of marks, None if there is another run."""
        if self._text.find(run[0][:3], run.end(), self.end) >= 0:
            return None
        return self._text[run.end() : self.end].strip()


def split(text: str) -> tuple[list[Block], str]:
    """Return the blocks that are not empty, and the prose around them.

    An unclosed block extends to the end. After `MOST_BLOCKS` the rest counts as prose.
    """
    found: list[Block] = []
    prose: list[str] = []
    at = 0
    for _ in range(MOST_BLOCKS):
        opening = _opening(text, at)
        if opening is None:
            break
        ending = _ending(text, opening)
        prose.append(text[at : opening.start].rstrip(" \t"))
        if prose[-1] and not prose[-1].endswith("\n"):
            prose.append("\n")
        block = Block(opening.language, text[opening.text : ending.text])
        if block.text.strip():
            found.append(block)
        at = ending.after
    prose.append(text[at:])
    return found, re.sub(r"\n{3,}", "\n\n", "".join(prose)).strip()


def parsed(text: str) -> ast.Module | None:
    """Return the syntax tree of a text, None if it is not Python or too long."""
    if len(text) > LONGEST_PARSED:
        return None
    try:
        with quietly():
            return ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _opening(text: str, at: int) -> _Opening | None:
    """Return the next fence that opens a block."""
    line, beyond = _Line(text, at), at
    for run in islice(_RUN.finditer(text, at), MOST_RUNS):
        if run.start() < beyond:
            continue
        line.reach(run)
        follows = line.follows(run)
        if follows is None:  # inline code
            beyond = text.index(run[0][:3], run.end()) + 3
            if not line.begun and (whole := _one_line(text, run, beyond, line)):
                return whole
            continue
        if not (word := _WORD.match(follows)):  # it matches every text, also an empty one
            continue
        if line.begun and follows and not _names_language(text, run, follows):
            continue
        rest = follows[word.end() :].lstrip()
        begins = line.end + 1
        if _CODE_WORD.match(rest):
            begins = text.index(rest, run.end())
        start = run.start() if line.begun else line.start
        return _Opening(start, run[0], word[1].lower(), min(begins, len(text)))
    return None


def _names_language(text: str, run: re.Match[str], follows: str) -> bool:
    """Return whether the text after a fence is a language, not prose."""
    word = _WORD.fullmatch(follows)
    return word is not None and (text[run.end()] != " " or word[1].lower() in _PYTHON)


def _one_line(text: str, run: re.Match[str], beyond: int, line: _Line) -> _Opening | None:
    """Return the opening of a block that ends on its line, if that is code."""
    inside = text[run.end() : beyond - 3].strip()
    word = _WORD.match(inside)
    language = word[1].lower() if word and word[1].lower() in _PYTHON else ""
    code = inside[len(language) :].lstrip()
    if not _CODE_WORD.match(code) or text[beyond : line.end].strip("`~ \t"):
        return None
    return _Opening(line.start, run[0], language, text.index(code, run.end()))


def _ending(text: str, opening: _Opening) -> _Ending:
    """Return where a block ends."""
    if opening.language in _PYTHON or not opening.language:
        return _ending_of_code(text, opening)
    mark = opening.mark
    closing = re.compile(rf"{re.escape(mark)}{re.escape(mark[0])}*[ \t]*$", re.MULTILINE)
    run = closing.search(text, opening.text)
    if run is None:
        return _Ending(len(text), len(text))
    return _Ending(run.start(), min(run.end() + 1, len(text)))


def _ending_of_code(text: str, opening: _Opening) -> _Ending:
    line = _Line(text, opening.text)
    for run in islice(_runs_outside_strings(text, opening.text), MOST_RUNS):
        line.reach(run)
        if run[0][0] != opening.mark[0] or len(run[0]) < len(opening.mark):
            continue
        follows = line.follows(run)
        ends = run.start() if line.begun else line.start
        if follows == "":
            return _Ending(ends, min(line.end + 1, len(text)))
        if not line.begun:
            opens = follows is not None and _names_language(text, run, follows)
            return _Ending(ends, line.start if opens else run.end())
        if opening.language and run[0][0] == "`" and follows is not None:  # prose after the fence
            return _Ending(ends, run.end())
    return _Ending(len(text), len(text))


def _runs_outside_strings(text: str, at: int) -> Iterator[re.Match[str]]:
    """Yield the runs of marks outside of strings and comments of the surrounding Python.

    An unclosed triple-quoted string does not count, or all the rest would be inside it.
    """
    strings = frozenset(_TRIPLE)
    while True:
        if code := _SKIPPED[strings].match(text, at):
            at = code.end()
        if run := _RUN.match(text, at):
            yield run
            at = run.end()
        elif at < len(text):
            strings -= {text[at : at + 3]}
        else:
            return


def _skipped(triple: frozenset[str]) -> re.Pattern[str]:
    """Return a pattern that matches code up to a run of marks or an unclosed string.

    Its alternatives exclude each other, so that the time is linear. The outer repetitions are not
    possessive: Python before 3.11.5 (Debian 12 has 3.11.2) mismatches such groups (gh-106052).
    """
    ways = [r"[^\"'#`~\\]++", r"\\.", r"\\\n?", r"#[^\n]*+", "`{1,2}(?!`)", "~{1,2}(?!~)"]
    for quote in "\"'":
        three = rf"{quote}(?!{quote}{quote})" if quote * 3 in triple else quote
        ways += [
            rf"{three}(?:[^{quote}\\\n]|\\.)*+{quote}",
            rf"{three}(?!{quote}{quote})" if quote * 3 in triple else quote,
        ]
        if quote * 3 in triple:
            inside = rf"(?:[^{quote}\\]|\\[\s\S]|{quote}{{1,2}}(?!{quote}))*"
            ways.append(f"{quote * 3}{inside}{quote * 3}")
    return re.compile(f"(?:{'|'.join(ways)})*")


_TRIPLE: Final = ('"""', "'''")
_SKIPPED: Final = {
    triple: _skipped(triple)
    for triple in map(frozenset, (_TRIPLE, _TRIPLE[:1], _TRIPLE[1:], _TRIPLE[:0]))
}
