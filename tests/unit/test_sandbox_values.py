"""Values cross the sandbox's wall by exact type, and nothing hostile crosses it."""

import collections
import datetime
import enum
import json
import math
import re
import time
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.graph.sandbox import child, child_values, outcome
from selfheal.graph.sandbox.values import UNDECODABLE, Opaque, clean, decode, shown


def crossed(value: object) -> Any:
    return decode(json.loads(child_values.encode(value)))


def same(left: Any, right: Any) -> bool:
    """Equal, of one type, and so are all parts: 1, 1.0 and True differ."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left.items()), list(right.items()))
    if isinstance(left, float) and math.isnan(left):
        return math.isnan(right)
    return left == right and repr(left) == repr(right)


class Colour(enum.IntEnum):
    RED = 1


class Always:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment] # as Python itself makes it


class Sly(int):
    pass


@dataclass
class Point:
    x: int


Pair = collections.namedtuple("Pair", "a b")
ZONE = datetime.timezone(datetime.timedelta(hours=-5, minutes=-30))

PLAIN = [
    None, True, False, 0, -1, 10**5000, -(2**64), 1.5, -0.0, math.inf, math.nan, 1e-310, 1 + 2j,
    "", "é\0\n\ud800😀", b"\x00\xff", bytearray(b"ab"), [], [1, [2.0, (True,)]], (), {}, {1: "a"},
    {"b": 1, "a": 2}, set(), {1, 2}, frozenset({(1, 2)}), {frozenset({1}): [1]}, range(1, 10, 3),
    ...,
    datetime.date(2026, 1, 31), datetime.datetime(2026, 1, 31, 1, 2, 3, 4, tzinfo=ZONE),
    datetime.datetime(2026, 1, 31, fold=1),  # noqa: DTZ001 - programs return such
    datetime.time(1, 2, 3, 4), datetime.time(1, tzinfo=ZONE),
    datetime.timedelta(days=-3, microseconds=7), Decimal("1.10"), Decimal("NaN"), Decimal("-0"),
    Fraction(-3, 7),
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: shown(value, 30))
def test_plain_values_keep_value_and_type(value: object) -> None:
    back = crossed(value)
    if isinstance(value, Decimal | datetime.datetime | int):
        assert type(back) is type(value)
        assert str(back) == str(value) if not isinstance(value, int) else back == value
    else:
        assert same(back, value)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(values)
def test_any_nesting_of_plain_values_comes_back_the_same(value: object) -> None:
    assert same(crossed(value), value)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    | st.sampled_from(["i", "f", "d", "s", "dec", "frac", "datetime", "time", "r", "o", "l"]),
    st.lists,
    max_leaves=30,
)  # fmt: skip


@given(json_like)
def test_decoding_never_raises(tagged: object) -> None:
    shown(decode(tagged))


@pytest.mark.parametrize(
    ("value", "back"),
    [
        (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.defaultdict(list, k=[1]), {"k": [1]}),
        (Pair(1, 2), (1, 2)),
    ],
)
def test_common_relatives_become_the_plain_type(value: object, back: object) -> None:
    assert same(crossed(value), back)


@pytest.mark.parametrize(
    ("value", "type_name"),
    [
        (Colour.RED, "Colour"),
        (Sly(3), "Sly"),
        (Point(1), "Point"),
        (Always(), "Always"),
        (iter([1]), "list_iterator"),
        ((n for n in "a"), "generator"),
        (Decimal("sNaN"), "Decimal"),
        (len, "builtin_function_or_method"),
        (NotImplemented, "NotImplementedType"),
    ],
)
def test_all_else_is_opaque(value: object, type_name: str) -> None:
    back = crossed(value)
    assert isinstance(back, Opaque)
    assert back.type_name == type_name


def test_an_opaque_equals_only_an_equal_opaque() -> None:
    back = crossed([Always()])
    assert back != [1]
    assert back[0] != Always.__name__
    assert crossed(Point(1)) == crossed(Point(1)) == Opaque("Point", "Point(x=1)")
    assert crossed(Point(1)) != crossed(Point(2))


class Unprintable:
    def __repr__(self) -> str:
        raise SystemExit("no")


class Chatty:
    def __repr__(self) -> str:
        return "x" * 10**6


def test_a_repr_that_fails_or_floods_is_contained() -> None:
    assert crossed(Unprintable()) == Opaque("Unprintable", "<unprintable>")
    assert len(crossed(Chatty()).repr_text) <= child_values.MAX_TEXT


def test_cycles_depth_and_size_end() -> None:
    ring: list[object] = []
    ring += [ring, ring]
    assert crossed(ring) == [Opaque("list", "<cycle>")] * 2
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    assert "nested too deeply" in shown(crossed(deep), 1000)
    wide: list[object] = [1]
    for _ in range(60):  # 2**60 leaves, though only 60 lists
        wide = [wide, wide]
    for value in (wide, "x" * 10**6, 1 << 10**7, bytes(10**6), list(range(10**6))):
        assert crossed(value) == Opaque(type(value).__name__, "<too large to send>")


# Python converts an int to compare it with a Decimal of its hash, which takes half a minute.
LARGE = 3**2_000_000
SLOW = [["i", f"{LARGE:x}"], ["dec", str(hash(LARGE))]]
COLLIDING = [["i", f"{n * (2**61 - 1):x}"] for n in range(30_000)]


@pytest.mark.parametrize(
    "tagged",
    [
        [], ["nope"], ["i"], ["i", 5], ["i", "zz"], ["f", "q"], ["b", "0"], ["d", "only a key"],
        ["s", ["l"]], ["r", "1", "2", "0"], ["date", 2026, 13, 1], ["date", True, 1, 1],
        ["frac", "1", "0"], ["frac", "1" * 10**6, "3" * 10**6], ["dec", "sNaN"], ["dec", "x"],
        ["o", 1, 2], [["i"]], {"i": 1}, 7, 1.5, ["time", 1],
        ["datetime", 1, 1, 1, 0, 0, 0, 0, 0, 5],
        ["s", *SLOW], ["fs", *(["t", each] for each in SLOW)], ["d", SLOW[0], 1, SLOW[1], 2],
        ["s", *COLLIDING], ["d", *(part for key in COLLIDING for part in (key, None))],
    ],
    ids=lambda tagged: str(tagged)[:30],
)  # fmt: skip
def test_forged_values_are_reported_as_undecodable_at_once(tagged: object) -> None:
    began = time.monotonic()
    assert decode(tagged) == UNDECODABLE
    assert time.monotonic() - began < 2


def test_a_forged_depth_is_undecodable() -> None:
    tagged: object = None
    for _ in range(500):
        tagged = ["l", tagged]
    assert decode(tagged) == UNDECODABLE


def test_shown_never_raises_and_is_fit_to_store() -> None:
    assert shown(10**5000) == "<int too long to show>"
    assert shown("a" * 500).endswith("…")
    assert "\0" not in clean("a\0b")
    clean("\ud800").encode()


def test_both_ends_agree_on_what_each_says_alone() -> None:
    assert child.EXIT_MEMORY == outcome.EXIT_MEMORY
    source = Path(child_values.__file__).read_text()
    assert not re.search(r"^import (json|typing|dataclasses)", source, re.MULTILINE)
