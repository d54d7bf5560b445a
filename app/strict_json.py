"""Reading JSON that untrusted clients, programs and models wrote, within bounds.

`json.loads` holds the interpreter's lock from its first byte to its last, so a thread does not keep
a long text from stopping everything else. What a text holds is therefore counted in its bytes
first, by a fixed number of passes of C code, and only what can be parsed in a few milliseconds is
parsed at all.
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
    """How much a text may hold: bytes of UTF-8, values (keys not counted), levels of nesting."""

    size: int
    values: int
    depth: int


class OutOfBoundsError(ValueError):
    """The text is longer, or holds more, than may be read."""


def loads(data: bytes | str, bounds: Bounds) -> Any:
    """Return what a JSON text says.

    Args:
        data: the text, as UTF-8 where it is bytes.
        bounds: how much it may hold.

    Raises:
        OutOfBoundsError: it holds more than that.
        ValueError: it is no JSON, no UTF-8, or has a number that is not finite or too long.
    """
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    check(raw, bounds)
    text = data if isinstance(data, str) else data.decode("utf-8")
    return json.loads(text, parse_constant=_not_finite, parse_float=_finite)


def check(raw: bytes, bounds: Bounds) -> None:
    """Count what the bytes of a JSON text hold, without parsing it.

    The counts are right for valid JSON, where an empty list or object counts as two values. In
    other texts they are at least those of the part before the first error, which is all that a
    parser ever reads.

    Raises:
        OutOfBoundsError: it is more than the bounds allow.
    """
    if len(raw) > bounds.size:
        raise OutOfBoundsError(f"longer than {bounds.size} bytes")
    bare = raw.translate(None, _OTHERS)
    # Within strings: first what escapes a backslash, then what escapes a quotation mark.
    bare = bare.replace(b"\\\\", b"").replace(b'\\"', b"").replace(b"\\", b"")
    if bare.count(b'"') > 4 * bounds.values:  # each value may have a key, and each text two marks
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
    raise ValueError(f"{text[:20]} is no finite number")
