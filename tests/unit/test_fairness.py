"""No tenant dominates the runs that a healing reads, whatever it sends."""

from collections import Counter
from dataclasses import fields
from typing import Any
from uuid import uuid4

import pytest

from selfheal.db.runs import Run
from selfheal.optimizer.dataset.tenant_quota import MIN_RUNS, apply_quota


def run(tenant: str) -> Run:
    known: dict[str, Any] = {field.name: None for field in fields(Run)}
    return Run(**{**known, "id": uuid4(), "tenant": tenant})


def runs(**counts: int) -> list[Run]:
    return [run(tenant) for tenant, count in counts.items() for _ in range(count)]


def kept(**counts: int) -> dict[str, int]:
    return dict(Counter(each.tenant for each in apply_quota(runs(**counts), 2000)))


def test_one_tenant_alone_gives_all() -> None:
    assert kept(a=200) == {"a": 200}
    assert apply_quota([], 9) == []


def test_of_two_neither_gives_more_than_half() -> None:
    assert kept(a=150, b=50) == {"a": 50, "b": 50}


def test_a_flood_is_a_fifth_of_what_is_read() -> None:
    quiet = dict.fromkeys("abcdefghij", 10)
    found = kept(flood=1000, **quiet)
    assert found.pop("flood") == 25
    assert found == quiet


def test_one_that_fails_nearly_alone_can_still_be_healed() -> None:
    assert kept(a=100, b=1) == {"a": MIN_RUNS, "b": 1}


@pytest.mark.parametrize("seed", range(20))
def test_no_quota_is_exceeded_and_no_other_tenant_is_cut(seed: int) -> None:
    counts = {
        name: (seed * 37 + at * 53) % 90 + 1 for at, name in enumerate("abcdefg"[: seed % 6 + 1])
    }
    found = kept(**counts)
    most = max(MIN_RUNS, max(0.2, 1 / len(counts)) * sum(found.values()))
    assert max(found.values()) <= most
    assert all(found[name] in (count, max(found.values())) for name, count in counts.items())


def test_the_first_of_a_tenant_remain_in_their_order() -> None:
    given = runs(a=30, b=9)
    assert apply_quota(given, 100) == [*given[:9], *given[30:]]


def test_a_flood_does_not_push_the_others_out_of_the_limit() -> None:
    found = Counter(each.tenant for each in apply_quota(runs(flood=1000, a=40, b=40, c=40), 100))
    assert found == {"flood": 25, "a": 25, "b": 25, "c": 25}
