"""Encoding of any value as tagged JSON, for the child: no method of the value is called.

`values.py` decodes it. `null`, `true`, `false` and strings stand for themselves; all else is an
array that begins with a tag, so that 1, 1.0, True and an IntEnum remain distinct.
"""

import sys
from _json import encode_basestring_ascii  # `json` itself takes 5 ms to import

TYPE_CHECKING = False  # as in `typing`, which takes long to import
if TYPE_CHECKING:
    from collections.abc import Callable

quote = encode_basestring_ascii

MAX_DEPTH = 100
MAX_NODES = 100_000
MAX_CHARACTERS = 750_000
MAX_TEXT = 2_000
HUGE = 1 << 4096  # the parent could take too long to reduce a fraction of larger numbers
# Not imported: only a program that imported the module can return its values.
DICT_KINDS = ("OrderedDict", "defaultdict", "Counter")


class TooLargeError(Exception):
    """A value has too many parts, or a text is too long."""


class Encoder:
    """Encodes one value, by its exact type, without calling methods of the value."""

    def __init__(self) -> None:
        self.nodes = MAX_NODES
        self.characters = MAX_CHARACTERS
        self.open: set[int] = set()

    def encode(self, value: object) -> str:
        """Return the JSON of a value; a value that is not plain becomes opaque."""
        self.nodes -= 1
        if self.nodes < 0:
            raise TooLargeError
        kind = type(value)
        if kind in SCALARS:
            return self.spend(SCALARS[kind](value))
        container = container_of(value, kind)
        if container:
            return self.enclose(value, *container)
        return self.spend(encode_extra(value, kind) or opaque(value))

    def enclose(self, value: object, tag: str, items: object) -> str:
        """Encode a container, with checks for cycles and depth."""
        if id(value) in self.open:
            return array('"o"', quote(type(value).__name__), '"<cycle>"')
        if len(self.open) >= MAX_DEPTH:
            return array('"o"', quote(type(value).__name__), '"<nested too deeply>"')
        self.open.add(id(value))
        try:
            return array(tag, *[self.encode(item) for item in items])  # type: ignore[attr-defined]
        finally:
            self.open.discard(id(value))

    def spend(self, text: str) -> str:
        """Return the text of a scalar, counted against `MAX_CHARACTERS`."""
        self.characters -= len(text)
        if self.characters < 0:
            raise TooLargeError
        return text


def array(*parts: str) -> str:
    """Join encoded parts to a JSON array."""
    return "[" + ",".join(parts) + "]"


def whole(value: int) -> str:
    """Quote an int in base 16: in linear time, and without Python's limit of digits."""
    if value.bit_length() > 4 * MAX_CHARACTERS:
        raise TooLargeError
    return f'"{value:x}"'


def string(value: str) -> str:
    """Quote a text of at most `MAX_CHARACTERS`."""
    if len(value) > MAX_CHARACTERS:
        raise TooLargeError
    return quote(value)


def binary(tag: str, value: bytes) -> str:
    """Encode bytes in base 16."""
    if len(value) > MAX_CHARACTERS:
        raise TooLargeError
    return array(tag, f'"{value.hex()}"')


SCALARS: "dict[type, Callable[..., str]]" = {
    type(None): lambda value: "null",
    bool: lambda value: "true" if value else "false",
    str: string,
    int: lambda value: array('"i"', whole(value)),
    float: lambda value: array('"f"', f'"{value.hex()}"'),
    complex: lambda value: array('"c"', f'"{value.real.hex()}"', f'"{value.imag.hex()}"'),
    bytes: lambda value: binary('"b"', value),
    bytearray: lambda value: binary('"ba"', value),
    range: lambda value: array('"r"', whole(value.start), whole(value.stop), whole(value.step)),
    type(Ellipsis): lambda value: '["e"]',
}
CONTAINERS = {list: '"l"', tuple: '"t"', set: '"s"', frozenset: '"fs"'}


def container_of(value: object, kind: type) -> "tuple[str, object] | None":
    """Return the tag and the parts of a container, without calling overridden methods."""
    if kind in CONTAINERS:
        return CONTAINERS[kind], value
    if kind is dict or any(kind is found("collections", name) for name in DICT_KINDS):
        pairs: object = dict.items(value)  # type: ignore[arg-type]
        return '"d"', [part for pair in pairs for part in pair]  # type: ignore[attr-defined]
    if kind.__bases__ == (tuple,) and "_fields" in kind.__dict__:
        return '"t"', tuple.__iter__(value)  # type: ignore[arg-type]
    return None


def found(module: str, name: str) -> object:
    """Return a class of a module if the program has imported it, else None."""
    return getattr(sys.modules.get(module), name, None)


def encode_extra(value: object, kind: type) -> str:
    """Encode a value of a known class of the standard library, else return an empty string."""
    name = kind.__name__
    if name in MOMENTS and kind is found("datetime", name):
        return moment(value, MOMENTS[name])
    if kind is found("decimal", "Decimal") and not value.is_snan():  # type: ignore[attr-defined]
        return array('"dec"', string(str(value)))
    if kind is found("fractions", "Fraction"):
        top, bottom = value.numerator, value.denominator  # type: ignore[attr-defined]
        return array('"frac"', whole(top), whole(bottom)) if max(-top, top, bottom) < HUGE else ""
    return ""


MOMENTS = {
    "date": ("year", "month", "day"),
    "time": ("hour", "minute", "second", "microsecond", "fold"),
    "datetime": ("year", "month", "day", "hour", "minute", "second", "microsecond", "fold"),
    "timedelta": ("days", "seconds", "microseconds"),
}


def moment(value: object, fields: "tuple[str, ...]") -> str:
    """Encode a date, time, datetime or timedelta; only time zones of a fixed offset."""
    zone = getattr(value, "tzinfo", None)
    if zone is not None and type(zone) is not found("datetime", "timezone"):
        return ""
    parts = [str(getattr(value, field)) for field in fields]
    if "fold" in fields:
        parts.append("null" if zone is None else moment(zone.utcoffset(None), MOMENTS["timedelta"]))
    return array(f'"{type(value).__name__}"', *parts)


def opaque(value: object) -> str:
    """Encode a value that is not plain: the name of its class and its repr."""
    try:
        text = str.__str__(repr(value))[:MAX_TEXT]
    except BaseException:  # an untrusted __repr__ may raise anything
        text = "<unprintable>"
    return array('"o"', quote(type(value).__qualname__), quote(text))


def encode(value: object) -> str:
    """Return the JSON of any value, also of a too large or hostile one."""
    try:
        return Encoder().encode(value)
    except TooLargeError:
        text = '"<too large to send>"'
    except BaseException:  # hostile classes may raise anything
        text = '"<unprintable>"'
    return array('"o"', quote(type(value).__qualname__), text)
