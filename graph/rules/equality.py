"""Equality of returned and expected values: types are distinct, floats have a tolerance."""

import math
from collections.abc import Sequence
from typing import cast

_RELATIVE = 1e-9
_ABSOLUTE = 1e-12


def same(expected: object, actual: object) -> bool:
    """Compare two plain values.

    1, 1.0 and True differ. Floats are equal within a relative 1e-9, and NaN equals NaN.
    """
    if type(expected) is not type(actual):
        return False
    if isinstance(expected, float) and isinstance(actual, float):
        return _close(expected, actual)
    if isinstance(expected, complex) and isinstance(actual, complex):
        return _close(expected.real, actual.real) and _close(expected.imag, actual.imag)
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        return _same_items(expected, actual)
    if isinstance(expected, dict) and isinstance(actual, dict):
        return _same_dict(expected, actual)
    if isinstance(expected, set | frozenset) and isinstance(actual, set | frozenset):
        return _same_items(_ordered(expected), _ordered(actual))
    return expected == actual


def equal(left: object, right: object) -> bool:
    """Compare two plain values as `==` does, with the tolerance of `same`; 1 and True differ."""
    if isinstance(left, bool) is not isinstance(right, bool):
        return False
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right or (isinstance(left, float) and same(left, right))
    if type(left) is type(right) and isinstance(left, list | tuple):
        other = cast("Sequence[object]", right)
        return len(left) == len(other) and all(map(equal, left, other))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return left == right or same(left, right)


def _close(expected: float, actual: float) -> bool:
    if math.isnan(expected) or math.isnan(actual):
        return math.isnan(expected) and math.isnan(actual)
    return math.isclose(expected, actual, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)


def _same_items(expected: Sequence[object], actual: Sequence[object]) -> bool:
    return len(expected) == len(actual) and all(map(same, expected, actual))


def _same_dict(expected: dict[object, object], actual: dict[object, object]) -> bool:
    """Compare keys by type and value, and values under them; order does not matter."""
    if len(expected) != len(actual):
        return False
    keys = {_key(key): value for key, value in actual.items()}
    return all(
        _key(key) in keys and same(value, keys[_key(key)]) for key, value in expected.items()
    )


def _ordered(items: set[object] | frozenset[object]) -> list[object]:
    return sorted(items, key=_rank)


def _rank(item: object) -> tuple[str, str]:
    """Return a sort key that equal items share, and others most likely do not."""
    try:
        return type(item).__name__, repr(item)
    except ValueError:  # an int of more than 4300 digits is in it
        return type(item).__name__, str(hash(item))


def _key(key: object) -> tuple[str, object]:
    """Return a key that distinguishes 1, 1.0 and True, which a dict would not."""
    return type(key).__name__, key
