"""The functions, modules and methods that examples may use outside the sandbox.

Each is bounded in time and memory: see `folding_operations`.
"""

import ast
import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from selfheal.graph.rules.folding_operations import (
    NotPlainError,
    UnfoldableError,
    binary,
    bits,
    compare,
    contains,
    items,
    require_plain,
    require_small,
    truth,
)
from selfheal.graph.sandbox.values import MAX_BITS, Opaque, distinct

MOST_FRACTIONS: Final = 100
MOST_DIGITS: Final = 400


def _sum(values: Any, start: Any = 0) -> Any:
    parts = items(values)
    quick = all(isinstance(each, int | float | complex) for each in (start, *parts))
    if not quick and len(parts) > MOST_FRACTIONS:
        raise UnfoldableError("too many parts to add")
    total = start
    for each in parts:
        total = binary(ast.Add, total, each)
    return total


def _round(value: Any, digits: Any = None) -> Any:
    if isinstance(digits, int) and abs(digits) > MOST_DIGITS:
        raise UnfoldableError("it rounds to too many digits")
    return round(require_small(value), digits)


def _pow(base: Any, exponent: Any, modulus: Any = None) -> Any:
    if modulus is None:
        return binary(ast.Pow, base, exponent)
    if any(bits(require_small(each)) > MAX_BITS // 10 for each in (base, exponent, modulus)):
        raise UnfoldableError("the numbers are too large")
    return pow(base, exponent, modulus)


def _divmod(left: Any, right: Any) -> tuple[Any, Any]:
    return binary(ast.FloorDiv, left, right), binary(ast.Mod, left, right)


def _extreme(choose: Callable[..., Any]) -> Callable[..., Any]:
    def chosen(*values: Any, **default: Any) -> Any:
        return choose(items(values[0]) if len(values) == 1 else values, **default)

    return chosen


def _bytes(value: Any = b"") -> bytes:
    if isinstance(value, int):
        raise UnfoldableError("bytes of a given number")
    return bytes(items(value))


def _dict(pairs: Any = (), **named: Any) -> dict[Any, Any]:
    given = (
        list(pairs.items()) if isinstance(pairs, dict) else [tuple(each) for each in items(pairs)]
    )
    distinct([pair[0] for pair in given])
    return dict(given, **named)


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "abs": lambda value: abs(require_small(value)),
    "all": lambda values: all(truth(each) for each in items(values)),
    "any": lambda values: any(truth(each) for each in items(values)),
    "bin": lambda value: bin(require_small(value)),
    "bool": lambda value=False: truth(value),
    "bytes": _bytes,
    "chr": chr,
    "dict": _dict,
    "divmod": _divmod,
    "enumerate": lambda values, start=0: list(enumerate(items(values), start)),
    "float": lambda value=0.0: float(require_small(value)),
    "frozenset": lambda values=(): frozenset(distinct(items(values))),
    "hex": lambda value: hex(require_small(value)),
    "int": lambda value=0, *base: int(require_small(value), *base),
    "isinstance": lambda value, kinds: isinstance(require_plain(value), kinds),
    "len": lambda value: len(require_plain(value)),
    "list": lambda values=(): items(values),
    "max": _extreme(max),
    "min": _extreme(min),
    "oct": lambda value: oct(require_small(value)),
    "ord": ord,
    "pow": _pow,
    "range": range,
    "repr": lambda value: repr(require_small(value)),
    "reversed": lambda values: items(values)[::-1],
    "round": _round,
    "set": lambda values=(): set(distinct(items(values))),
    "sorted": lambda values, *, reverse=False: sorted(items(values), reverse=reverse),
    "str": lambda value="": str(require_small(value)),
    "sum": _sum,
    "tuple": lambda values=(): tuple(items(values)),
    "type": lambda value: type(require_plain(value)),
    "zip": lambda *values, strict=False: list(zip(*map(items, values), strict=strict)),
}
# They return a truth value, which the program's process must not decide.
PREDICATES: Final = frozenset(
    {"all", "any", "bool", "isinstance", "issubclass", "callable", "hasattr", "type"}
)
TYPES: Final[Mapping[str, type]] = {
    each.__name__: each
    for each in (bool, bytes, complex, dict, float, frozenset, int, list, object, set, str, tuple)
}
_NUMBERS: Final = (
    *("isclose", "isnan", "isinf", "isfinite", "floor", "ceil", "trunc", "sqrt", "fabs", "hypot"),
    *(
        "copysign",
        "exp",
        "log",
        "log2",
        "log10",
        "sin",
        "cos",
        "tan",
        "atan2",
        "radians",
        "degrees",
    ),
)
_OPERATORS: Final[Mapping[str, ast.cmpop]] = {
    "eq": ast.Eq(),
    "ne": ast.NotEq(),
    "lt": ast.Lt(),
    "le": ast.LtE(),
    "gt": ast.Gt(),
    "ge": ast.GtE(),
    "is_": ast.Is(),
    "is_not": ast.IsNot(),
}


def _of_numbers(name: str) -> Callable[..., Any]:
    found = getattr(math, name)
    return lambda *values, **named: found(*map(require_small, values), **named)


def _ordering(kind: ast.cmpop) -> Callable[..., Any]:
    return lambda left, right: compare(kind, left, right)


# By the names that programs and examples use.
MODULES: Final[Mapping[str, Mapping[str, Any]]] = {
    "math": {
        **{name: _of_numbers(name) for name in _NUMBERS},
        **{name: getattr(math, name) for name in ("pi", "e", "tau", "inf", "nan")},
    },
    "operator": {
        **{name: _ordering(kind) for name, kind in _OPERATORS.items()},
        "contains": lambda container, item: contains(item, container),
        "not_": lambda value: not truth(value),
        "truth": truth,
    },
    "datetime": {
        "date": datetime.date,
        "datetime": datetime.datetime,
        "time": datetime.time,
        "timedelta": datetime.timedelta,
    },
    "decimal": {"Decimal": Decimal},
    "fractions": {"Fraction": Fraction},
}
CONSTRUCTORS: Final[Mapping[str, Callable[..., Any]]] = {
    **MODULES["datetime"],
    **MODULES["decimal"],
    **MODULES["fractions"],
}
# Functions of these modules decide about their arguments.
DECIDING_MODULES: Final = frozenset(
    {"operator", "math", "cmath", "re", "fnmatch", "hmac", "inspect"}
)


# Methods

_PLAIN: Final = (str, bytes, int, float, list, tuple, dict, set, frozenset, complex)
_CODECS: Final = frozenset({"utf-8", "utf8", "ascii", "latin-1"})
COMPARING_METHODS: Final = frozenset(
    {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__", "__bool__"}
)
PREDICATE_METHODS: Final = COMPARING_METHODS | frozenset(
    {
        *(name for kind in _PLAIN for name in dir(kind) if name.startswith("is")),
        *("startswith", "endswith"),
    }
)
# They find something by comparing for equality.
FINDING_METHODS: Final = frozenset({"count", "index", "get", "pop", "setdefault", "__getitem__"})
# Methods of plain values whose results are not much larger than their arguments.
_METHODS: Final = PREDICATE_METHODS | {
    *("upper", "lower", "strip", "lstrip", "rstrip", "title", "capitalize", "swapcase", "casefold"),
    *("split", "rsplit", "splitlines", "partition", "rpartition", "removeprefix", "removesuffix"),
    *("count", "find", "rfind", "index", "encode", "decode", "hex", "keys", "values", "items"),
    *(
        "get",
        "union",
        "intersection",
        "difference",
        "symmetric_difference",
        "copy",
        "as_integer_ratio",
    ),
}


def method(value: Any, name: str, arguments: Sequence[Any]) -> Any:
    """Call a method of a plain value.

    Raises:
        NotPlainError: the value is an object of the program's.
        UnfoldableError: the method is not known to be bounded.
    """
    if isinstance(value, Opaque):
        raise NotPlainError
    if name not in _METHODS or not isinstance(value, _PLAIN):
        raise UnfoldableError(name)
    if name in {"encode", "decode"} and any(each not in _CODECS for each in arguments):
        raise UnfoldableError("another codec")
    if isinstance(value, set | frozenset) and not name.startswith("__"):
        arguments = [set(distinct(items(each))) for each in arguments]
    found = getattr(value, name)(*arguments)
    return list(found) if name in {"keys", "values", "items"} else found
