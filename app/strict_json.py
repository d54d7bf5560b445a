"""Parsing of untrusted JSON within bounds.

`json.loads` holds the interpreter's lock from the first byte to the last, so even in a thread a
long text stops everything else. The bytes are therefore counted first, by a fixed number of passes
of C code, and only a text that can be parsed in a few milliseconds is parsed.
"""

import json
import math
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, NoReturn

_STRUCTURE: Final = b'"[]{},\\'
_OTHERS: Final = bytes(set(range(256)) - set(_STRUCTURE))
_STEPS: Final = [(byte in b"[{") - (byte in b"]}") for byte in range(256)]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that a text may hold.

    Attributes:
        size: bytes of UTF-8.
        values: without the keys of objects.
        depth: levels of nesting.
    """

    size: int
    values: int
    depth: int


class OutOfBoundsError(ValueError):
    """The text exceeds the bounds."""


def loads(data: bytes | str, bounds: Bounds) -> Any:
    """Parse a JSON text.

    Args:
        data: the text; bytes are UTF-8.
        bounds: the most that it may hold.

    Raises:
        OutOfBoundsError: it exceeds the bounds.
        ValueError: it is not JSON or not UTF-8, or has a number that is not finite or too long.
    """
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    check(raw, bounds)
    text = data if isinstance(data, str) else data.decode("utf-8")
    return json.loads(text, parse_constant=_not_finite, parse_float=_finite)


def check(raw: bytes, bounds: Bounds) -> None:
    """Check the bounds of a JSON text without parsing it.

    For valid JSON the counts are exact, with an empty list or object counted as two values. For
    other texts they are at least those of the part before the first error, beyond which no parser
    reads.

    Raises:
        OutOfBoundsError: it exceeds the bounds.
    """
    if len(raw) > bounds.size:
        raise OutOfBoundsError(f"longer than {bounds.size} bytes")
    bare = raw.translate(None, _OTHERS)
    # Remove escapes of strings: of backslashes, then of quotation marks, then the others.
    bare = bare.replace(b"\\\\", b"").replace(b'\\"', b"").replace(b"\\", b"")
    if bare.count(b'"') > 4 * bounds.values:  # a value may have a key, and each string has two
        raise OutOfBoundsError(f"more than {bounds.values} values")
    outside = b"".join(bare.split(b'"')[::2])
    brackets = outside.translate(None, b",")
    values = outside.count(b",") + brackets.count(b"[") + brackets.count(b"{") + 1
    if max(values, len(brackets) // 2) > bounds.values:
        raise OutOfBoundsError(f"more than {bounds.values} values")
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > bounds.depth:
        raise OutOfBoundsError(f"nested more than {bounds.depth} deep")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _not_finite(text)


def _not_finite(text: str) -> NoReturn:
    raise ValueError(f"{text[:20]} is not a finite number")
