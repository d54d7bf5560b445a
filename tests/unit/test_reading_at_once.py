"""Programs are read in threads, and up to Python 3.12 two parsers at once break each other."""

import gc
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from selfheal.graph.parsing.literals import quietly
from selfheal.graph.rules.static_checks import observations

BODY = "    '''Doc.'''\n    return [x + {0} for x in (a, {{'b': (a, [a])}})]"
CODE = "\n".join(f"def f{n}(a: int) -> int:\n{BODY.format(n)}" for n in range(60))


class Junk:
    """Garbage whose end lets another thread go on, in the midst of a parser's work."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        time.sleep(0.0001)


@pytest.fixture
def restless() -> Iterator[None]:
    before, patience = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(20)
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(patience)
    gc.set_threshold(*before)


def test_many_programs_are_read_at_once(restless: None) -> None:
    def one(_: int) -> float:
        for _ in range(10):
            Junk()
        return observations(CODE, "f1", quietly)[0][1]

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(one, range(60))) == {1.0}
