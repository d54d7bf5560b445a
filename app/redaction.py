"""Redaction of other programs' messages: bounded, printable, without secrets."""

import re
from collections.abc import Collection
from itertools import groupby
from typing import Final
from urllib.parse import quote, urlsplit

LONGEST: Final = 300  # characters of the result
_READ: Final = 2000  # characters of the message that are read
_SHORTEST_SECRET: Final = 4  # shorter texts are parts of ordinary words
_ECHO: Final = 32  # characters: a shorter match with what was sent may be chance
_GONE: Final = "…"

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s\"'<>`]+")
_CREDENTIAL = re.compile(
    r"(?i:\b(?:bearer|basic)\s+)\S+"
    r"|\b(?:AIza|AQ\.|sk-|pk-|gh[a-z]_|github_pat_|xox[a-z]-|glpat-|hf_|ya29\.|eyJ|AKIA|whsec_)\S+"
    r"|\b[0-9a-fA-F]{32,}\b"
)
_LONG_WORD = re.compile(r"[\w+/=-]{20,}", re.ASCII)


def redact(text: str, secrets: Collection[str] = (), sent: str = "") -> str:
    """Return a message of another program in a form that may be shown.

    Removed are the given secrets, words that look like keys, userinfo, query and fragment of URLs,
    and parts that repeat 32 characters or more of what was sent.

    Args:
        text: the message, of any length.
        secrets: texts that must not appear, such as URLs or passwords; those of fewer than 4
            characters are ignored.
        sent: what the other program was sent, which it may quote.

    Returns:
        One line of at most 300 characters; an ellipsis stands for each removed part.
    """
    line = " ".join(_printable(text[:_READ]).split())
    hidden = _spellings(secrets)
    for secret in hidden:
        line = line.replace(secret, _GONE)
    if len(text) > _READ:  # a secret may be cut in two at the end
        line = line[: max(0, len(line) - max(map(len, hidden), default=0))]
    line = _URL.sub(lambda found: _address(found[0]), line)
    line = _LONG_WORD.sub(_without_key, _CREDENTIAL.sub(_GONE, line))
    line = _without_echo(line[: 2 * LONGEST], " ".join(sent.split()))
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + _GONE


def _printable(text: str) -> str:
    """Return a text with white space as spaces, without other invisible characters."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text)


def _spellings(secrets: Collection[str]) -> list[str]:
    """Return the secrets in the forms in which they may occur, the longest first."""
    plain = {" ".join(each.split()) for each in secrets}
    written = plain | {quote(each, safe="") for each in plain}
    return sorted((each for each in written if len(each) >= _SHORTEST_SECRET), key=len)[::-1]


def _address(url: str) -> str:
    """Return a URL's scheme, host, port and path."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return _GONE
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _without_key(found: re.Match[str]) -> str:
    """Remove a long word of capitals, small letters and digits, which is probably a key."""
    word = found[0]
    mixed = re.search("[A-Z]", word) and re.search("[a-z]", word) and re.search("[0-9]", word)
    return _GONE if mixed else word


def _without_echo(line: str, sent: str) -> str:
    """Remove parts that repeat at least `_ECHO` characters of what was sent."""
    quoted = bytearray(len(line))
    for start in range(len(line) - _ECHO + 1):
        if line[start : start + _ECHO] in sent:
            quoted[start : start + _ECHO] = b"\1" * _ECHO
    parts = groupby(zip(line, quoted, strict=True), key=lambda each: each[1])
    return "".join(_GONE if echo else "".join(c for c, _ in part) for echo, part in parts)
