"""Reading the Python that examples are written in.

The parser holds the interpreter's lock from beginning to end, so that a thread does not keep a long
text from stopping everything else: what is parsed here is short.
"""

import ast
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any, Final

LONGEST_CALL: Final = 2_000
LONGEST_LITERAL: Final = 20_000
# Of the examples of a request or a plan together: 20 ms, or 70 ms where they are the fields of one
# f-string, whose cost grows with the square of its length on Python 3.11.
LONGEST_TOGETHER: Final = 20_000

_UNREADABLE = (SyntaxError, ValueError, TypeError, MemoryError, RecursionError)


# Two threads that parse at once break each other's count of depth (SystemError, up to Python 3.12),
# and the filters of warnings are the whole process's.
_ALONE = RLock()


@contextmanager
def quietly() -> Iterator[None]:
    """Read a stranger's code alone, without repeating Python's warnings about it."""
    with _ALONE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_expression(text: str) -> bool:
    """Tell whether text is one Python expression of at most 2,000 characters."""
    if len(text) > LONGEST_CALL:
        return False
    try:
        with quietly():
            ast.parse(text.strip(), mode="eval")
    except _UNREADABLE:
        return False
    return True


def is_literal(text: str) -> bool:
    """Tell whether text is a Python literal of at most 20,000 characters."""
    try:
        literal(text)
    except ValueError:
        return False
    return True


def literal(text: str) -> Any:
    """Return the value of a Python literal.

    Raises:
        ValueError: the text is none, or longer than 20,000 characters.
    """
    if len(text) > LONGEST_LITERAL:
        raise ValueError("too long for a literal")
    try:
        with quietly():
            return ast.literal_eval(text.strip())
    except _UNREADABLE as error:
        raise ValueError("not a Python literal") from error
