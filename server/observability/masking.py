"""Secrets taken out of what is written, should a library's message quote one all the same.

Settings are checked before any library reads them, and our own messages quote none. This is for
what is not foreseen: a traceback, a warning, a log at level debug.
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
_SHORTEST: Final = 8  # what is shorter occurs by chance, as in a word


def masking() -> Callable[[str], str]:
    """Return what masks every secret of this environment in a text, also where JSON escapes it."""
    found = {
        each for value in secret_values(ServerSettings) for each in (value, json.dumps(value)[1:-1])
    }
    kept = sorted((each for each in found if len(each) >= _SHORTEST), key=len, reverse=True)
    if not kept:
        return lambda text: text
    # Not inside a word: `postgres` is a usual password, and a part of every address.
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, kept))})(?![A-Za-z0-9])")
    return lambda text: pattern.sub(_MASK, text)


class MaskingFormatter(logging.Formatter):
    """Formats a record as the standard library does, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text and traceback."""
        return masking()(super().format(record))


def mask_stderr() -> None:
    """Mask the errors that Python itself writes from now on: uncaught, or logged to no handler."""
    sys.excepthook = _uncaught
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(MaskingFormatter())


def _uncaught(kind: type[BaseException], error: BaseException, place: TracebackType | None) -> None:
    sys.stderr.write(masking()("".join(format_exception(kind, error, place))))
