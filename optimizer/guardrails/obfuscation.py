"""What is hidden in a text: letters that are not seen, or not what they seem, and encodings."""

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from selfheal.db.reasons import Reason, because

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}[\s:]?){6,}|(?:\\x[0-9A-Fa-f]{2}){4,}")
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})")
_CODED = re.compile(
    r"(?=\S*[A-Z])(?=\S*[a-z])(?=\S*\d)[A-Za-z0-9+/_-]{16,}={0,2}|[0-9A-Fa-f]{16,}|\w{40,}|={2}(?!=)"
)
_LONGEST_WORD = 200  # a longer one is not read by anybody; what looks ahead in it is quadratic
_SPELLED = re.compile(r"\b\w(?:[\s.*_·-]+\w\b){4,}")
_BLANKS = re.compile(r"[^\S \n\r\t]")
# Characters that no font shows, and that stand for a letter or a byte each.
_TAGS = {
    **{0xE0000 + code: code for code in range(0x20, 0x7F)},
    **{0xFE00 + code: code for code in range(16)},
    **{0xE0100 + code - 16: code for code in range(16, 256)},
}


def disguises(text: str, known: str) -> Iterator[Reason]:
    """Yield how a text hides something; letters that the known text has too are no disguise."""
    if any(_unseen(each) for each in set(text) - set(known)):
        yield because("invisible_characters")
    if foreign := _scripts(text) - _scripts(known) - {"LATIN"}:
        yield because("foreign_letters", alphabets=sorted(foreign))
    if _encoded(text) - _encoded(known):
        yield because("contains_encoded_text")


def _encoded(text: str) -> set[str]:
    """Return what in a text reads like an encoding of something else."""
    tokens = text.split()
    coded = (_CODED.findall(each) for each in tokens if len(each) <= _LONGEST_WORD)
    long = (each for each in tokens if len(each) > _LONGEST_WORD)
    return {*long, *_SPELLED.findall(text), *(found for each in coded for found in each)}


def _unseen(character: str) -> bool:
    """Tell of what changes the text without being seen; line ends and tabs are no such thing."""
    kind = unicodedata.category(character)
    return (
        kind in ("Cf", "Co", "Cn", "Cs")
        or (kind == "Cc" and character not in "\n\r\t")
        or bool(_BLANKS.match(character))
    )


def _scripts(text: str) -> set[str]:
    """Return the alphabets of a text."""
    names = (unicodedata.name(each, "UNNAMED") for each in set(text) if each.isalpha())
    return {name.split()[0] for name in names}


def revealed(texts: Iterable[str]) -> list[str]:
    """Return texts, and what can be read in them by whoever decodes what they hold."""
    return [reading for text in texts for reading in (text, *_readings(text))]


def _readings(text: str) -> Iterator[str]:
    yield text.translate(_TAGS)
    yield codecs.encode(text, "rot13")
    yield text[::-1]
    yield html.unescape(unquote(_ESCAPE.sub(_character, text)))
    yield re.sub(r"(?<=\b\w)[\s.*_·-](?=\w\b)", "", text)
    for found in _BASE64.findall(text):
        yield from _decoded(found)
    for found in _HEX.findall(text):
        digits = re.sub(r"[^0-9A-Fa-f]", "", found.replace("\\x", ""))
        yield bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("utf-8", "replace")


def _character(found: re.Match[str]) -> str:
    return chr(int(found[1] or found[2], 16))


def _decoded(found: str) -> Iterator[str]:
    """Yield what base64 or base32 stands for, if it is text."""
    bare = found.rstrip("=")
    for decode in (base64.urlsafe_b64decode, base64.b64decode, base64.b32decode):
        size = 8 if decode is base64.b32decode else 4
        try:
            yield decode(bare + "=" * (-len(bare) % size)).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            continue
