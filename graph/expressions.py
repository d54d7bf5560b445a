"""Reading the Python that examples are written in."""

import ast
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

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
    """Tell whether text is one Python expression."""
    try:
        with quietly():
            ast.parse(text.strip(), mode="eval")
    except _UNREADABLE:
        return False
    return True


def is_literal(text: str) -> bool:
    """Tell whether text is a Python literal."""
    try:
        literal(text)
    except ValueError:
        return False
    return True


def literal(text: str) -> Any:
    """Return the value of a Python literal.

    Raises:
        ValueError: the text is none.
    """
    try:
        with quietly():
            return ast.literal_eval(text.strip())
    except _UNREADABLE as error:
        raise ValueError("not a Python literal") from error
