"""Diffs: equal to difflib's for short texts, correct and fast for long ones."""

import difflib
import random
import time
from collections.abc import Sequence

import pytest

from selfheal.optimizer.text.diffs import unified_diff


def changed(dice: random.Random, lines: list[str], words: Sequence[str], most: int) -> list[str]:
    """Return lines with some removed and some inserted."""
    new = list(lines)
    for _ in range(dice.randrange(6)):
        at = dice.randrange(len(new) + 1)
        new[at : at + dice.randrange(most)] = dice.choices(words, k=dice.randrange(most))
    return new


def pairs(size: int, many: int) -> list[tuple[str, str]]:
    """Return pairs of texts, with few different lines and with many."""
    dice = random.Random(15)
    found = []
    for _ in range(many):
        words: Sequence[str] = dice.choice(
            ["ab", "abcdefghij", [str(number) for number in range(1000)]]
        )
        lines = dice.choices(words, k=dice.randrange(1, size))
        found.append(("\n".join(lines), "\n".join(changed(dice, lines, words, size // 8))))
    return found


def patched(old: str, diff: str) -> str:
    """Return a text with a unified diff applied."""
    lines, new, at = old.split("\n") if old else [], list[str](), 0
    for each in diff.split("\n")[2:]:
        mark, line = each[:1], each[1:]
        if mark == "@":
            start, _, length = each.split()[1][1:].partition(",")
            begin = int(start) - (length != "0")
            new += lines[at:begin]
            at = begin
        elif mark == "+":
            new.append(line)
        else:
            assert lines[at] == line
            new += [line] * (mark == " ")
            at += 1
    return "\n".join([*new, *lines[at:]])


def test_short_texts_are_compared_as_by_difflib() -> None:
    for old, new in pairs(80, 300):
        lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "a 1", "a 2", lineterm="")
        assert unified_diff(old, new, "a 1", "a 2") == "\n".join(lines)


def test_the_diff_of_long_texts_makes_one_of_the_other() -> None:
    for old, new in pairs(2000, 60):
        assert patched(old, unified_diff(old, new, "a 1", "a 2")) == new


def test_a_change_in_a_long_text_is_shown_alone() -> None:
    lines = [f"Rule {number}: do it." for number in range(2000)]
    new = [*lines[:1000], "Rule 1000: do it well.", *lines[1001:]]
    assert unified_diff("\n".join(lines), "\n".join(new), "a 1", "a 2").split("\n") == [
        "--- a 1",
        "+++ a 2",
        "@@ -998,7 +998,7 @@",
        *(f" {each}" for each in lines[997:1000]),
        f"-{lines[1000]}",
        "+Rule 1000: do it well.",
        *(f" {each}" for each in lines[1001:1004]),
    ]


def woven(filler: str, lines: int) -> str:
    """Return few different lines with an equal one between them: the worst case of difflib."""
    dice = random.Random(7)
    kinds = [f"line {number}" for number in range(60)]  # fewer would be too many of each to it
    return "\n".join(f"{dice.choice(kinds)}\n{filler}" for _ in range(lines // 2))


@pytest.mark.parametrize("lines", [198, 298, 2_000, 20_000])
def test_no_two_texts_take_long(lines: int) -> None:
    began = time.thread_time()
    assert unified_diff(woven("1", lines), woven("2", lines), "a 1", "a 2")
    assert time.thread_time() - began < 0.1
