"""Masking of secrets in text that is written, in case a library's message quotes one.

Settings are checked before any library reads them, and our own messages quote none. This covers
what is not foreseen: a traceback, a warning, a log at level `debug`.
"""

import json
import logging
import re
import sys
from collections.abc import Callable
from traceback import format_exception
from types import TracebackType
from typing import Final

from selfheal.db.settings import secret_values
from selfheal.server.settings import ServerSettings

_MASK: Final = "[secret]"
_SHORTEST: Final = 8  # shorter values occur by chance, as parts of words


def masking() -> Callable[[str], str]:
    """Return a function that masks every secret of the environment, also in its JSON form."""
    found = {
        each for value in secret_values(ServerSettings) for each in (value, json.dumps(value)[1:-1])
    }
    kept = sorted((each for each in found if len(each) >= _SHORTEST), key=len, reverse=True)
    if not kept:
        return lambda text: text
    # Not inside a word: `postgres` is a common password, and a part of every URL.
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, kept))})(?![A-Za-z0-9])")
    return lambda text: pattern.sub(_MASK, text)


class MaskingFormatter(logging.Formatter):
    """Formats records as the standard library does, with secrets masked."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text and traceback."""
        return masking()(super().format(record))


def mask_stderr() -> None:
    """Mask the errors that Python itself writes: uncaught ones, and logs without a handler."""
    sys.excepthook = _uncaught
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(MaskingFormatter())


def _uncaught(kind: type[BaseException], error: BaseException, place: TracebackType | None) -> None:
    sys.stderr.write(masking()("".join(format_exception(kind, error, place))))
