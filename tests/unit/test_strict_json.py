"""What a JSON text holds is counted in its bytes before it is parsed, rightly and at once."""

import json
import random
from typing import Any

import pytest

from selfheal.app.strict_json import Bounds, OutOfBoundsError, loads
from selfheal.server.api.middleware import BODY
from tests.support import parser_worst_cases
from tests.support.event_loop_stalls import is_slow

TEXTS = ("", "a", '"', "\\", '\\"', '[{"', "]}", "\\\\", ",,", "é\u2028", "\U0001f4a9")


def value(dice: random.Random, depth: int) -> Any:
    """Return any JSON value, with brackets and marks in its texts."""
    kind = dice.random() if depth else 0
    if kind < 0.3:
        return dice.choice((1, None, True, 1.5, *TEXTS))
    if kind < 0.6:
        return [value(dice, depth - 1) for _ in range(dice.randrange(4))]
    keys = (dice.choice(TEXTS) + str(number) for number in range(dice.randrange(4)))
    return {key: value(dice, depth - 1) for key in keys}


def children(whole: Any) -> list[Any]:
    if isinstance(whole, dict):
        return list(whole.values())
    return whole if isinstance(whole, list) else []


def size(whole: Any) -> int:
    """Count values as the reader does: an empty list or object counts as two."""
    if not isinstance(whole, dict | list):
        return 1
    return 1 + (sum(map(size, children(whole))) or 1)


def depth(whole: Any) -> int:
    if not isinstance(whole, dict | list):
        return 0
    return 1 + max(map(depth, children(whole)), default=0)


def fits(raw: bytes, values: int, deep: int) -> bool:
    try:
        loads(raw, Bounds(2**20, values, deep))
    except OutOfBoundsError:
        return False
    return True


@pytest.mark.parametrize("ascii_alone", [True, False])
def test_values_and_levels_are_counted_exactly(ascii_alone: bool) -> None:
    dice = random.Random(15)
    for _ in range(500):
        whole = value(dice, 6)
        raw = json.dumps(whole, ensure_ascii=ascii_alone).encode()
        assert loads(raw, Bounds(2**20, size(whole), depth(whole))) == whole
        assert not fits(raw, size(whole) - 1, 99)
        assert depth(whole) == 0 or not fits(raw, 10**6, depth(whole) - 1)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[1,]", b"\xff", b'"\xc3\x28"', b"NaN", b"1e400", b"9" * 5000, b"]", b'"\\"']
    + ["[1]".encode(each) for each in ("utf-16", "utf-32", "utf-8-sig")],
)
def test_what_is_no_json_is_no_value(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's, Unicode's and our own
        loads(raw, BODY)


def test_a_text_of_too_many_bytes_is_not_looked_at() -> None:
    with pytest.raises(OutOfBoundsError, match="longer than 3 bytes"):
        loads("ééé", Bounds(3, 10, 10))


@pytest.mark.parametrize("name", parser_worst_cases.any_at_all())
def test_no_text_takes_long(name: str) -> None:
    raw = parser_worst_cases.any_at_all()[name].encode()
    assert not is_slow(loads, raw, BODY)
