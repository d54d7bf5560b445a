"""Parsing of the Python expressions in examples.

The parser holds the interpreter's lock from beginning to end, so that even in a thread a long text
stops everything else: only short texts are parsed here.
"""

import ast
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any, Final

LONGEST_CALL: Final = 2_000
LONGEST_LITERAL: Final = 20_000
# For all examples of a request or a plan: parsed in 20 ms, or 70 ms as the fields of one f-string,
# whose time is quadratic on Python 3.11.
LONGEST_TOGETHER: Final = 20_000

_UNREADABLE = (SyntaxError, ValueError, TypeError, MemoryError, RecursionError)


# Two threads that parse at the same time corrupt each other's recursion depth (SystemError, up to
# Python 3.12), and warning filters belong to the whole process.
_ALONE = RLock()


@contextmanager
def quietly() -> Iterator[None]:
    """Parse untrusted code in the body: one thread at a time, and without Python's warnings."""
    with _ALONE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_expression(text: str) -> bool:
    """Return whether a text is one Python expression of at most 2,000 characters."""
    if len(text) > LONGEST_CALL:
        return False
    try:
        with quietly():
            ast.parse(text.strip(), mode="eval")
    except _UNREADABLE:
        return False
    return True


def is_literal(text: str) -> bool:
    """Return whether a text is a Python literal of at most 20,000 characters."""
    try:
        literal(text)
    except ValueError:
        return False
    return True


def literal(text: str) -> Any:
    """Return the value of a Python literal.

    Raises:
        ValueError: the text is not a literal, or longer than 20,000 characters.
    """
    if len(text) > LONGEST_LITERAL:
        raise ValueError("too long for a literal")
    try:
        with quietly():
            return ast.literal_eval(text.strip())
    except _UNREADABLE as error:
        raise ValueError("not a Python literal") from error
