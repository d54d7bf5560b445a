"""What no prompt may contain: pure functions. A breach rejects a candidate; nothing is repaired."""

import re
from collections.abc import Iterable, Iterator, Sequence

from optimizer.text import runs_of, words

_WORDS_ALWAYS_ALLOWED = 400
_GROWTH = 1.2
_COPIED_RUN = 8
_URL = re.compile(r"\b(?:[a-z][a-z0-9+.-]*://|www\.)\S|\b[\w.+-]+@[\w-]+\.\w", re.IGNORECASE)
_SECRET = re.compile(
    r"AIza[\w-]{20,}|sk-[\w-]{16,}|gh[pousr]_\w{20,}|AKIA[A-Z0-9]{12,}|xox[abpr]-[\w-]{10,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY|eyJ[\w-]{10,}\.[\w-]{10,}\."
    r"|\b(?:api[_-]?key|password|secret|token)\s*[:=]\s*\S{6,}",
    re.IGNORECASE,
)


def breaches(
    candidate: str, incumbent: str, others: Sequence[str], logs: Iterable[str]
) -> list[str]:
    """Return why a candidate may not be tried, in words; empty if it may.

    Args:
        candidate: the proposed prompt.
        incumbent: the prompt that it would replace.
        others: candidates of this healing that came before.
        logs: texts of strangers that the diagnosis saw: requests, code, reasons.
    """
    return [
        *_length(candidate, incumbent),
        *_news(candidate, incumbent, others),
        *_contents(candidate, incumbent, logs),
    ]


def _length(candidate: str, incumbent: str) -> Iterator[str]:
    size, limit = (
        len(words(candidate)),
        max(_WORDS_ALWAYS_ALLOWED, int(_GROWTH * len(words(incumbent)))),
    )
    if size == 0:
        yield "it is empty"
    if size > limit:
        yield f"it has {size} words, more than {limit}"


def _news(candidate: str, incumbent: str, others: Sequence[str]) -> Iterator[str]:
    if words(candidate) == words(incumbent):
        yield "it says what the incumbent says"
    if any(words(candidate) == words(other) for other in others):
        yield "it says what an earlier candidate says"


def _contents(candidate: str, incumbent: str, logs: Iterable[str]) -> Iterator[str]:
    if _URL.search(candidate):
        yield "it contains an address"
    if _SECRET.search(candidate):
        yield "it contains what looks like a secret"
    own = runs_of(candidate, _COPIED_RUN) - runs_of(incumbent, _COPIED_RUN)
    if any(own & runs_of(text, _COPIED_RUN) for text in logs):
        yield f"it copies {_COPIED_RUN} words in a row from the logs"
