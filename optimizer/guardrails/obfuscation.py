"""Detects obfuscated text: invisible characters, foreign scripts and encodings."""

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
_LONGEST_WORD = 200  # characters; the look-aheads take quadratic time, and no word is longer
_SPELLED = re.compile(r"\b\w(?:[\s.*_·-]+\w\b){4,}")
_BLANKS = re.compile(r"[^\S \n\r\t]")
# Invisible characters that encode a letter or a byte each: tags and variation selectors.
_TAGS = {
    **{0xE0000 + code: code for code in range(0x20, 0x7F)},
    **{0xFE00 + code: code for code in range(16)},
    **{0xE0100 + code - 16: code for code in range(16, 256)},
}


def obfuscations(text: str, known: str) -> Iterator[Reason]:
    """Yield a violation for each kind of obfuscation that the known text does not have."""
    if any(_is_invisible(character) for character in set(text) - set(known)):
        yield because("invisible_characters")
    if foreign := _scripts(text) - _scripts(known) - {"LATIN"}:
        yield because("foreign_letters", alphabets=sorted(foreign))
    if _encoded(text) - _encoded(known):
        yield because("contains_encoded_text")


def _encoded(text: str) -> set[str]:
    """Return the parts of a text that look like an encoding."""
    tokens = text.split()
    coded = (_CODED.findall(token) for token in tokens if len(token) <= _LONGEST_WORD)
    long = (token for token in tokens if len(token) > _LONGEST_WORD)
    return {*long, *_SPELLED.findall(text), *(code for codes in coded for code in codes)}


def _is_invisible(character: str) -> bool:
    """Tell whether a character is not displayed; line ends, tabs and spaces do not count."""
    kind = unicodedata.category(character)
    return (
        kind in ("Cf", "Co", "Cn", "Cs")
        or (kind == "Cc" and character not in "\n\r\t")
        or bool(_BLANKS.match(character))
    )


def _scripts(text: str) -> set[str]:
    """Return the scripts of a text, as the first words of its letters' Unicode names."""
    names = (unicodedata.name(letter, "UNNAMED") for letter in set(text) if letter.isalpha())
    return {name.split()[0] for name in names}


def decoded_texts(texts: Iterable[str]) -> list[str]:
    """Return texts, each followed by its decodings."""
    return [reading for text in texts for reading in (text, *_decodings(text))]


def _decodings(text: str) -> Iterator[str]:
    yield text.translate(_TAGS)
    yield codecs.encode(text, "rot13")
    yield text[::-1]
    yield html.unescape(unquote(_ESCAPE.sub(_character, text)))
    yield re.sub(r"(?<=\b\w)[\s.*_·-](?=\w\b)", "", text)
    for code in _BASE64.findall(text):
        yield from _decoded_base(code)
    for code in _HEX.findall(text):
        digits = re.sub(r"[^0-9A-Fa-f]", "", code.replace("\\x", ""))
        yield bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("utf-8", "replace")


def _character(match: re.Match[str]) -> str:
    return chr(int(match[1] or match[2], 16))


def _decoded_base(code: str) -> Iterator[str]:
    """Yield the decodings of base64 and base32 that are UTF-8 text."""
    bare = code.rstrip("=")
    for decode in (base64.urlsafe_b64decode, base64.b64decode, base64.b32decode):
        size = 8 if decode is base64.b32decode else 4
        try:
            yield decode(bare + "=" * (-len(bare) % size)).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            continue
