"""Unified diffs of two texts, in time nearly linear in their length.

`difflib` takes time cubic in the number of lines if many of them are equal: 18 s for 4,000 lines.
So it compares short texts only. In long texts, lines that occur once on both sides are matched
first (a patience diff, after Bram Cohen), and each gap between two of them is compared by itself or
replaced as a whole.
"""

import difflib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

Lines = Sequence[str]
# An operation as difflib names it, with its start and end on either side.
Opcode = tuple[str, int, int, int, int]

_SHORT: Final = 300  # lines on each side: 10 ms at worst
_GAP: Final = 40  # lines on each side between two lines that match
_WORK: Final = 2_000  # lines in gaps that difflib compares, for one pair of texts
_CONTEXT: Final = 3


def unified_diff(old: str, new: str, old_label: str, new_label: str) -> str:
    """Return a unified diff of two texts, empty if they have the same lines.

    Args:
        old: the text before.
        new: the text after.
        old_label: the name of the text before, in the header.
        new_label: the name of the text after, in the header.
    """
    before, after = old.splitlines(), new.splitlines()
    groups = _PrecomputedMatcher(list(_opcodes(before, after))).get_grouped_opcodes(_CONTEXT)
    changed = (group for group in groups if any(opcode[0] != "equal" for opcode in group))
    hunks = [line for group in changed for line in _hunk(group, before, after)]
    return "\n".join([f"--- {old_label}", f"+++ {new_label}", *hunks]) if hunks else ""


class _PrecomputedMatcher(difflib.SequenceMatcher[str]):
    """Given operations, so that difflib groups them into hunks."""

    def __init__(self, opcodes: list[Any]) -> None:
        super().__init__()
        self._opcodes = opcodes

    def get_opcodes(self) -> list[Any]:
        """Return the given operations."""
        return self._opcodes


def _opcodes(before: Lines, after: Lines) -> Iterator[Opcode]:
    """Yield the operations from the lines before to those after, in order and without gaps."""
    if max(len(before), len(after)) <= _SHORT:
        yield from difflib.SequenceMatcher(None, before, after).get_opcodes()
        return
    work = _WORK
    at, beside = 0, 0
    for first, second, size in (*_matches(before, after), (len(before), len(after), 0)):
        rows, columns = first - at, second - beside
        if 0 < max(rows, columns) <= _GAP and rows and columns and work > 0:
            work -= rows + columns
            gap = difflib.SequenceMatcher(None, before[at:first], after[beside:second])
            for name, i, j, k, m in gap.get_opcodes():
                yield name, at + i, at + j, beside + k, beside + m
        elif rows or columns:
            name = "replace" if rows and columns else "delete" if rows else "insert"
            yield name, at, first, beside, second
        if size:
            yield "equal", first, first + size, second, second + size
        at, beside = first + size, second + size


def _matches(before: Lines, after: Lines) -> Iterator[tuple[int, int, int]]:
    """Yield runs of equal lines as (index before, index after, length), in order.

    They are the common prefix and suffix and, between them, the runs around lines that occur once
    on both sides.
    """
    least = min(len(before), len(after))
    head = next((n for n in range(least) if before[n] != after[n]), least)
    rest = least - head
    tail = next((n for n in range(rest) if before[-1 - n] != after[-1 - n]), rest)
    end, edge = len(before) - tail, len(after) - tail
    if head:
        yield 0, 0, head
    at, beside = head, head
    for first, second in _anchors(before[head:end], after[head:edge], head):
        if first < at:  # inside the run around the previous anchor
            continue
        start, other = first, second
        while start > at and other > beside and before[start - 1] == after[other - 1]:
            start, other = start - 1, other - 1
        stop, until = first + 1, second + 1
        while stop < end and until < edge and before[stop] == after[until]:
            stop, until = stop + 1, until + 1
        yield start, other, stop - start
        at, beside = stop, until
    if tail:
        yield end, edge, tail


def _anchors(before: Lines, after: Lines, offset: int) -> list[tuple[int, int]]:
    """Return the longest increasing series of the indices, before and after, of unique lines."""
    once = {line for line, count in Counter(after).items() if count == 1}
    places = {line: place for place, line in enumerate(after) if line in once}
    seen = Counter(before)
    pairs = [
        (place, places[line])
        for place, line in enumerate(before)
        if seen[line] == 1 and line in places
    ]
    ends: list[int] = []  # for each length, the least index after that a series ends with
    last: list[int] = []  # the pair that it ends with
    previous = [-1] * len(pairs)
    for number, (_, other) in enumerate(pairs):
        length = bisect_left(ends, other)
        if length == len(ends):
            ends.append(other)
            last.append(number)
        else:
            ends[length], last[length] = other, number
        previous[number] = last[length - 1] if length else -1
    series: list[tuple[int, int]] = []
    at = last[-1] if last else -1
    while at >= 0:
        series.append((pairs[at][0] + offset, pairs[at][1] + offset))
        at = previous[at]
    return series[::-1]


def _hunk(group: Sequence[Opcode], before: Lines, after: Lines) -> Iterator[str]:
    first, last = group[0], group[-1]
    yield f"@@ -{_span(first[1], last[2])} +{_span(first[3], last[4])} @@"
    for name, i, j, k, m in group:
        if name == "equal":
            yield from (f" {line}" for line in before[i:j])
        else:
            yield from (f"-{line}" for line in before[i:j])
            yield from (f"+{line}" for line in after[k:m])


def _span(start: int, stop: int) -> str:
    """Return a range of lines as in the header of a hunk: the first line and the count."""
    length = stop - start
    if length == 1:
        return f"{start + 1}"
    return f"{start + 1 if length else start},{length}"
