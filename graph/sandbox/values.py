"""Decoding of values from a sandbox into plain Python objects.

The text comes from an untrusted process and may be anything. Decoding takes bounded time and
memory, and its result holds no code of the program, not even an `__eq__`.
"""

import datetime
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

MAX_DEPTH = 120
MAX_SAME_HASH = 64
MAX_FRACTION_DIGITS = 1100
MAX_BITS = 20_000
MAX_OPAQUE_TEXT = 2_000


class UndecodableError(ValueError):
    """A tagged value that the child does not write."""


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value that has no plain form; equal only to an equal Opaque, never to the value itself."""

    type_name: str
    repr_text: str


UNDECODABLE = Opaque("?", "<not decodable>")


def decode(tagged: object) -> object:
    """Return the plain object of a tagged value; a malformed one becomes an Opaque."""
    try:
        return _decode(tagged, 0)
    except Exception:  # the program may have sent anything
        return UNDECODABLE


def clean(text: str, limit: int = MAX_OPAQUE_TEXT) -> str:
    """Return a text that terminals, logs and databases accept: no NUL, no lone surrogate, short.

    Args:
        text: of any length.
        limit: characters of the result.
    """
    escaped = text[:limit].replace("\0", "\\0")[:limit]  # a NUL takes two characters
    return escaped.encode("utf-8", "replace").decode("utf-8")


def shown(value: object, limit: int = 200) -> str:
    """Return the repr of a decoded value, cut to `limit` characters; never raises."""
    if isinstance(value, Opaque):
        return clean(value.repr_text, limit)
    try:
        text = repr(value)
    except Exception:  # for instance, ints of more than 4300 digits have no decimal repr
        return f"<{type(value).__name__} too long to show>"
    return clean(text if len(text) <= limit else text[: limit - 1] + "…", limit)


def _decode(tagged: object, depth: int) -> object:
    if tagged is None or isinstance(tagged, bool | str):
        return tagged
    if depth > MAX_DEPTH or not isinstance(tagged, list) or not tagged:
        raise UndecodableError
    tag, *parts = tagged
    if tag in _CONTAINERS:
        return _CONTAINERS[tag]([_decode(part, depth + 1) for part in parts])
    if tag not in _SCALARS:
        raise UndecodableError
    return _SCALARS[tag](parts)


def _text(part: object) -> str:
    if not isinstance(part, str):
        raise UndecodableError
    return part


def _whole(part: object) -> int:
    return int(_text(part), 16)


def _small(part: object) -> int:
    if type(part) is not int:
        raise UndecodableError
    return part


def distinct(keys: Sequence[Any]) -> Sequence[Hashable]:
    """Return keys whose hashes do not collide too often.

    Building a set of many colliding keys takes quadratic time. Of a Decimal and a large int two are
    enough, since Python converts the int to compare them.

    Raises:
        UndecodableError: they collide too often.
        TypeError: one of them is not hashable.
    """
    hashes = Counter(map(hash, keys))
    most = max(hashes.values(), default=0)
    if most > MAX_SAME_HASH or (most > 1 and _has_decimal(keys) and has_large_int(keys)):
        raise UndecodableError
    return keys


def has_large_int(value: object) -> bool:
    """Return whether a value is or contains an int that is slow to compare with Decimals."""
    return _contains(value, lambda each: isinstance(each, int) and each.bit_length() > MAX_BITS)


def has_opaque(value: object) -> bool:
    """Return whether a value is or contains an Opaque."""
    return _contains(value, lambda each: isinstance(each, Opaque))


def _has_decimal(value: object) -> bool:
    return _contains(value, lambda each: isinstance(each, Decimal))


def _contains(value: object, wanted: Callable[[object], bool]) -> bool:
    """Return whether a value or one of its parts, at any depth, is wanted."""
    if isinstance(value, dict):
        return any(_contains(each, wanted) for pair in value.items() for each in pair)
    if isinstance(value, list | tuple | set | frozenset):
        return any(_contains(each, wanted) for each in value)
    return wanted(value)


def _dict(parts: list[object]) -> dict[Hashable, object]:
    if len(parts) % 2:
        raise UndecodableError
    return dict(zip(distinct(parts[::2]), parts[1::2], strict=True))


def _fraction(parts: list[object]) -> Fraction:
    top, bottom = (_text(part) for part in parts)
    if max(len(top), len(bottom)) > MAX_FRACTION_DIGITS:  # reducing it could take too long
        raise UndecodableError
    return Fraction(int(top, 16), int(bottom, 16))


def _decimal(parts: list[object]) -> Decimal:
    number = Decimal(_text(parts[0]))
    if number.is_snan():  # comparing it raises
        raise UndecodableError
    return number


def _zone(part: object) -> datetime.timezone | None:
    if part is None:
        return None
    tag, *parts = cast("list[object]", part)
    if tag != "timedelta":
        raise UndecodableError
    return datetime.timezone(datetime.timedelta(*map(_small, parts)))


def _datetime(parts: list[object]) -> datetime.datetime:
    year, month, day, *time, fold, zone = parts
    date = datetime.date(_small(year), _small(month), _small(day))
    return datetime.datetime.combine(date, _time([*time, fold, zone]))


def _time(parts: list[object]) -> datetime.time:
    hour, minute, second, microsecond, fold = map(_small, parts[:5])
    return datetime.time(hour, minute, second, microsecond, _zone(parts[5]), fold=fold)


def _opaque(parts: list[object]) -> Opaque:
    type_name, repr_text = (clean(_text(part)) for part in parts)
    return Opaque(type_name, repr_text)


_CONTAINERS: dict[object, Callable[[list[object]], object]] = {
    "l": list,
    "t": tuple,
    "s": lambda items: set(distinct(items)),
    "fs": lambda items: frozenset(distinct(items)),
    "d": _dict,
}
_SCALARS: dict[object, Callable[[list[object]], object]] = {
    "i": lambda parts: _whole(parts[0]),
    "f": lambda parts: float.fromhex(_text(parts[0])),
    "c": lambda parts: complex(*(float.fromhex(_text(part)) for part in parts)),
    "b": lambda parts: bytes.fromhex(_text(parts[0])),
    "ba": lambda parts: bytearray.fromhex(_text(parts[0])),
    "r": lambda parts: range(*map(_whole, parts)),
    "e": lambda parts: Ellipsis,
    "date": lambda parts: datetime.date(*map(_small, parts)),
    "datetime": _datetime,
    "time": _time,
    "timedelta": lambda parts: datetime.timedelta(*map(_small, parts)),
    "dec": _decimal,
    "frac": _fraction,
    "o": _opaque,
}
