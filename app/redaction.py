"""What may be shown of another program's message: bounded, printable, without secrets."""

import re
from collections.abc import Collection
from itertools import groupby
from typing import Final
from urllib.parse import quote, urlsplit

LONGEST: Final = 300  # characters of what is shown
_READ: Final = 2000  # characters that are looked at
_SHORTEST_SECRET: Final = 4  # shorter ones are no secret, and are part of ordinary words
_ECHO: Final = 32  # characters in a row that were sent: fewer may be anybody's
_GONE: Final = "…"

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s\"'<>`]+")
_CREDENTIAL = re.compile(
    r"(?i:\b(?:bearer|basic)\s+)\S+"
    r"|\b(?:AIza|AQ\.|sk-|pk-|gh[a-z]_|github_pat_|xox[a-z]-|glpat-|hf_|ya29\.|eyJ|AKIA|whsec_)\S+"
    r"|\b[0-9a-fA-F]{32,}\b"
)
_LONG_WORD = re.compile(r"[\w+/=-]{20,}", re.ASCII)


def shown(text: str, secrets: Collection[str] = (), sent: str = "") -> str:
    """Return what may be shown of a message that another program wrote.

    It is one line of at most 300 characters. Left out are the given secrets, words that look like
    keys, userinfo, query and fragment of URLs, and what repeats 32 characters of what was sent.

    Args:
        text: the message, of any length.
        secrets: texts that must not appear, whole URLs or passwords; very short ones are ignored.
        sent: what the other program was sent, and may quote.
    """
    line = " ".join(_printable(text[:_READ]).split())
    hidden = _spellings(secrets)
    for secret in hidden:
        line = line.replace(secret, _GONE)
    if len(text) > _READ:  # a secret may have been cut in two there
        line = line[: max(0, len(line) - max(map(len, hidden), default=0))]
    line = _URL.sub(lambda found: _address(found[0]), line)
    line = _LONG_WORD.sub(_without_key, _CREDENTIAL.sub(_GONE, line))
    line = _without_echo(line[: 2 * LONGEST], " ".join(sent.split()))
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + _GONE


def _printable(text: str) -> str:
    """Return a text whose blanks are spaces, without anything else that cannot be seen."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text)


def _spellings(secrets: Collection[str]) -> list[str]:
    """Return the secrets as they may be written, the longest first."""
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
    """Leave a word out that is long and of capitals, small letters and digits: a key, likely."""
    word = found[0]
    mixed = re.search("[A-Z]", word) and re.search("[a-z]", word) and re.search("[0-9]", word)
    return _GONE if mixed else word


def _without_echo(line: str, sent: str) -> str:
    """Leave out what is long enough to be quoted from what was sent."""
    quoted = bytearray(len(line))
    for start in range(len(line) - _ECHO + 1):
        if line[start : start + _ECHO] in sent:
            quoted[start : start + _ECHO] = b"\1" * _ECHO
    parts = groupby(zip(line, quoted, strict=True), key=lambda each: each[1])
    return "".join(_GONE if echo else "".join(c for c, _ in part) for echo, part in parts)
