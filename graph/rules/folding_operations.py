"""Operations of examples on plain values, each bounded in time and memory.

Examples come from requests and values from the program under test, so an operation that could take
long or much memory is refused with `UnfoldableError`, and the example then counts less.
"""

import ast
import operator
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from selfheal.graph.rules.equality import equal, same
from selfheal.graph.sandbox.values import MAX_BITS, Opaque, distinct, has_opaque

MOST_ITEMS: Final = 100_000


class UnfoldableError(Exception):
    """The expression cannot be evaluated outside the sandbox."""


class NotPlainError(UnfoldableError):
    """An object of the program is used where the expression needs a plain value."""


class Budget:
    """The steps that the examples of one plan may take together.

    Args:
        steps: about one for each node that is evaluated, and for each 100 parts of a value.
    """

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int = 1) -> None:
        """Use up steps.

        Raises:
            UnfoldableError: fewer are left.
        """
        self._left -= steps
        if self._left < 0:
            raise UnfoldableError("it takes too many steps")


def weight(value: object) -> int:
    """Return the approximate number of parts of a value."""
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
        NotPlainError: an object of the program is compared with a plain value.
        UnfoldableError: two such objects are compared, so that their own methods would decide.
    """
    if isinstance(kind, ast.Is | ast.IsNot):
        return _identical(left, right) is isinstance(kind, ast.Is)
    if isinstance(kind, ast.In | ast.NotIn):
        return contains(left, right) is isinstance(kind, ast.In)
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
    """Compare by `is`: values are copied out of the sandbox, so identity is equality of value."""
    if left is None or right is None:
        return left is right
    _refuse_opaque(left, right)
    return same(left, right)


def contains(item: Any, container: Any) -> bool:
    """Return whether `item in container`, with the equality of `compare`.

    Raises:
        NotPlainError: the item is an object of the program.
        UnfoldableError: the container is one.
    """
    if isinstance(container, Opaque):
        raise UnfoldableError("the container has no plain form")
    if isinstance(item, Opaque):
        raise NotPlainError
    if isinstance(container, range) and not isinstance(item, int):
        container = items(container)  # bounded: a range is searched linearly for other types
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
        raise UnfoldableError("only its own class can decide whether it is true")
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
        NotPlainError: an operand is an object of the program.
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
        return isinstance(right, int | float) and bits(left) * exponent <= MAX_BITS
    if kind is ast.LShift:
        return isinstance(right, int) and bits(left) + right <= MAX_BITS
    return bits(left) + bits(right) <= MAX_BITS


def bits(value: object) -> int:
    """Return the size of a number in bits, as far as it matters for the time of arithmetic."""
    if isinstance(value, Fraction):
        return value.numerator.bit_length() + value.denominator.bit_length()
    if isinstance(value, Decimal):
        return 4 * abs(value.adjusted()) if value.is_finite() else 1
    return value.bit_length() if isinstance(value, int) else 64


# Values


def items(value: Any) -> list[Any]:
    """Return the items of an iterable value.

    Raises:
        UnfoldableError: it has no plain form, or too many parts.
    """
    if (
        isinstance(require_plain(value), range | list | tuple | set | frozenset | dict)
        and len(value) > MOST_ITEMS
    ):
        raise UnfoldableError("it has too many parts")
    return list(value)


def require_plain(value: Any) -> Any:
    """Return a value.

    Raises:
        UnfoldableError: it has no plain form.
    """
    if isinstance(value, Opaque):
        raise UnfoldableError("only its own class knows what it is")
    return value


def require_small(value: Any) -> Any:
    """Return a value that can be converted or rounded quickly.

    Raises:
        NotPlainError: it is an object of the program.
        UnfoldableError: it is a very large number.
    """
    if isinstance(value, Opaque):
        raise NotPlainError
    if bits(value) > MAX_BITS:
        raise UnfoldableError("the number is too large")
    return value


def subscript(value: Any, index: Any) -> Any:
    """Return `value[index]` of a plain value.

    Raises:
        NotPlainError: it is an object of the program.
        UnfoldableError: it is not a sequence or a dict.
    """
    if isinstance(value, Opaque):
        raise NotPlainError
    if not isinstance(value, Sequence | dict):
        raise UnfoldableError("a value without parts")
    return value[index]


def gathered(kind: type[ast.expr], values: Iterable[Any]) -> Any:
    """Return the list, tuple or set of values."""
    if kind in (ast.Set, ast.SetComp):
        return set(distinct(list(values)))
    return tuple(values) if kind is ast.Tuple else list(values)
