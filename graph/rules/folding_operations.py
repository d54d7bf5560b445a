"""What an example may do outside the sandbox with plain values, each operation bounded.

Examples come from requests and values from the program under test, so nothing here may take long
or much memory: what would is refused as `UnfoldableError`, and the example then counts less.
"""

import ast
import datetime
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from selfheal.graph.rules.equality import equal, same
from selfheal.graph.sandbox.values import MAX_BITS as MOST_BITS
from selfheal.graph.sandbox.values import Opaque, distinct, has_opaque

MOST_ITEMS: Final = 100_000
MOST_FRACTIONS: Final = 100
MOST_DIGITS: Final = 400


class UnfoldableError(Exception):
    """The expression cannot be evaluated outside the sandbox."""


class NotPlainError(UnfoldableError):
    """An object of the program's stands where the expression works on plain values."""


class Budget:
    """The steps that the examples of one plan may take together."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int = 1) -> None:
        """Take some steps.

        Raises:
            UnfoldableError: there are not so many left.
        """
        self._left -= steps
        if self._left < 0:
            raise UnfoldableError("it takes too many steps")


def weight(value: object) -> int:
    """Return about how many parts a value has."""
    if isinstance(value, str | bytes | bytearray):
        return 1 + len(value) // 16
    if isinstance(value, int):
        return 1 + value.bit_length() // 128
    if isinstance(value, dict):
        return 1 + sum(weight(key) + weight(each) for key, each in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return 1 + sum(map(weight, value))
    return 1


# Comparisons


def compare(kind: ast.cmpop, left: Any, right: Any) -> bool:
    """Compare two values as Python would; floats are also equal within 1e-9.

    Raises:
        NotPlainError: an object of the program's is compared with a plain value.
        UnfoldableError: two of them are compared, so that its own methods would decide.
    """
    if isinstance(kind, ast.Is | ast.IsNot):
        return _identical(left, right) is isinstance(kind, ast.Is)
    if isinstance(kind, ast.In | ast.NotIn):
        return _contains(left, right) is isinstance(kind, ast.In)
    if isinstance(kind, ast.Eq | ast.NotEq):
        return _equal(left, right) is isinstance(kind, ast.Eq)
    _refuse_opaque(left, right)
    return bool(_ORDERS[type(kind)](left, right))


_ORDERS: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def _equal(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is right
    _refuse_opaque(left, right)
    if has_opaque(left) and has_opaque(right):
        raise UnfoldableError("parts of both sides have no plain form")
    return equal(left, right)


def _identical(left: Any, right: Any) -> bool:
    """Compare by `is`: a value that has been copied out of the sandbox is itself by its value."""
    if left is None or right is None:
        return left is right
    _refuse_opaque(left, right)
    return same(left, right)


def _contains(item: Any, container: Any) -> bool:
    if isinstance(container, Opaque):
        raise UnfoldableError("what it is looked for in has no plain form")
    if isinstance(item, Opaque):
        raise NotPlainError
    if isinstance(container, range) and not isinstance(item, int):
        container = items(container)  # it would be searched, which takes as long as it is
    if isinstance(container, list | tuple):
        return any(_equal(item, each) for each in container)
    return item in container


def _refuse_opaque(left: object, right: object) -> None:
    if isinstance(left, Opaque) and isinstance(right, Opaque):
        raise UnfoldableError("neither side has a plain form")
    if isinstance(left, Opaque) or isinstance(right, Opaque):
        raise NotPlainError


def truth(value: Any) -> bool:
    """Return whether a value counts as true.

    Raises:
        UnfoldableError: it has no plain form, so that its own methods would decide.
    """
    if isinstance(value, Opaque):
        raise UnfoldableError("whether it is true is for its own class to say")
    return bool(value)


# Arithmetic

_BINARY: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.BitAnd: operator.and_,
}
_UNARY: Final[dict[type[ast.unaryop], Callable[[Any], Any]]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}


def binary(kind: type[ast.operator], left: Any, right: Any) -> Any:
    """Apply an arithmetic operator.

    Raises:
        NotPlainError: an operand is an object of the program's.
        UnfoldableError: the operator is unknown, or the result would be too large.
    """
    _refuse_opaque(left, right)
    if kind not in _BINARY:
        raise UnfoldableError(kind.__name__)
    if not _affordable(kind, left, right):
        raise UnfoldableError("its result may be too large")
    return _BINARY[kind](left, right)


def unary(kind: type[ast.unaryop], value: Any) -> Any:
    """Apply a sign or `~`."""
    if isinstance(value, Opaque):
        raise NotPlainError
    return _UNARY[kind](value)


def _affordable(kind: type[ast.operator], left: Any, right: Any) -> bool:
    if kind in (ast.Sub, ast.BitOr, ast.BitXor, ast.BitAnd, ast.RShift):
        return True
    sizes = [len(each) for each in (left, right) if isinstance(each, Sequence)]
    if sizes:
        if kind is ast.Mult:
            times = [abs(each) for each in (left, right) if isinstance(each, int)]
            return sizes[0] * max(times, default=0) <= MOST_ITEMS
        return kind is ast.Add and sum(sizes) <= MOST_ITEMS * 10
    if kind is ast.Pow:
        exponent = abs(right) if isinstance(right, int) else 1
        return isinstance(right, int | float) and _bits(left) * exponent <= MOST_BITS
    if kind is ast.LShift:
        return isinstance(right, int) and _bits(left) + right <= MOST_BITS
    return _bits(left) + _bits(right) <= MOST_BITS


def _bits(value: object) -> int:
    """Return the size of a number in bits, as far as arithmetic with it takes long."""
    if isinstance(value, Fraction):
        return value.numerator.bit_length() + value.denominator.bit_length()
    if isinstance(value, Decimal):
        return 4 * abs(value.adjusted()) if value.is_finite() else 1
    return value.bit_length() if isinstance(value, int) else 64


# Functions


def items(value: Any) -> list[Any]:
    """Return the parts of a value that is iterated.

    Raises:
        UnfoldableError: it has no plain form, or too many parts.
    """
    if (
        isinstance(_known(value), range | list | tuple | set | frozenset | dict)
        and len(value) > MOST_ITEMS
    ):
        raise UnfoldableError("it has too many parts")
    return list(value)


def _known(value: Any) -> Any:
    if isinstance(value, Opaque):
        raise UnfoldableError("what it is, is for its own class to say")
    return value


def _small(value: Any) -> Any:
    """Let pass a number that may be converted or rounded in no time."""
    if isinstance(value, Opaque):
        raise NotPlainError
    if _bits(value) > MOST_BITS:
        raise UnfoldableError("the number is too large")
    return value


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
    return round(_small(value), digits)


def _pow(base: Any, exponent: Any, modulus: Any = None) -> Any:
    if modulus is None:
        return binary(ast.Pow, base, exponent)
    if any(_bits(_small(each)) > MOST_BITS // 10 for each in (base, exponent, modulus)):
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
    "abs": lambda value: abs(_small(value)),
    "all": lambda values: all(truth(each) for each in items(values)),
    "any": lambda values: any(truth(each) for each in items(values)),
    "bin": lambda value: bin(_small(value)),
    "bool": lambda value=False: truth(value),
    "bytes": _bytes,
    "chr": chr,
    "dict": _dict,
    "divmod": _divmod,
    "enumerate": lambda values, start=0: list(enumerate(items(values), start)),
    "float": lambda value=0.0: float(_small(value)),
    "frozenset": lambda values=(): frozenset(distinct(items(values))),
    "hex": lambda value: hex(_small(value)),
    "int": lambda value=0, *base: int(_small(value), *base),
    "isinstance": lambda value, kinds: isinstance(_known(value), kinds),
    "len": lambda value: len(_known(value)),
    "list": lambda values=(): items(values),
    "max": _extreme(max),
    "min": _extreme(min),
    "oct": lambda value: oct(_small(value)),
    "ord": ord,
    "pow": _pow,
    "range": range,
    "repr": lambda value: repr(_small(value)),
    "reversed": lambda values: items(values)[::-1],
    "round": _round,
    "set": lambda values=(): set(distinct(items(values))),
    "sorted": lambda values, *, reverse=False: sorted(items(values), reverse=reverse),
    "str": lambda value="": str(_small(value)),
    "sum": _sum,
    "tuple": lambda values=(): tuple(items(values)),
    "type": lambda value: type(_known(value)),
    "zip": lambda *values, strict=False: list(zip(*map(items, values), strict=strict)),
}
# What answers with a truth value, which the program's process must not find for us.
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
    return lambda *values, **named: found(*map(_small, values), **named)


def _ordering(kind: ast.cmpop) -> Callable[..., Any]:
    return lambda left, right: compare(kind, left, right)


# By the names that programs and examples give them; a method by its class's.
MODULES: Final[Mapping[str, Mapping[str, Any]]] = {
    "math": {
        **{name: _of_numbers(name) for name in _NUMBERS},
        **{name: getattr(math, name) for name in ("pi", "e", "tau", "inf", "nan")},
    },
    "operator": {
        **{name: _ordering(kind) for name, kind in _OPERATORS.items()},
        "contains": lambda container, item: _contains(item, container),
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
# Functions of these modules decide about what they are given.
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
# What finds something by asking whether it is equal.
FINDING_METHODS: Final = frozenset({"count", "index", "get", "pop", "setdefault", "__getitem__"})
# Those of plain values that cannot make anything much larger than what they are given.
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
        UnfoldableError: the method is not among those that are known to be harmless.
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


def subscript(value: Any, index: Any) -> Any:
    """Return a part of a plain value."""
    if isinstance(value, Opaque):
        raise NotPlainError
    if not isinstance(value, Sequence | dict):
        raise UnfoldableError("a part of what has none")
    return value[index]


def gathered(kind: type[ast.expr], values: Iterable[Any]) -> Any:
    """Return the list, tuple or set of values."""
    if kind in (ast.Set, ast.SetComp):
        return set(distinct(list(values)))
    return tuple(values) if kind is ast.Tuple else list(values)
