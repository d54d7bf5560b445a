"""A test of chance is tried again where chance can be the cause, and nowhere else."""

import re
import sys
from pathlib import Path

from bench.harness.processes import clean_environment, finished

SUITE = """
import pytest

tried = []

@pytest.fixture
def before(request):
    tried.append(request.node.name)
    return tried.count(request.node.name) - 1

pytestmark = pytest.mark.by_chance

def test_sound(before): pass
def test_unlucky(before): assert before == 1
def test_unlucky_twice(before): assert before == 2, "words"
def test_unlucky_thrice(before): assert before == 3
def test_broken(before): raise KeyError
def test_hanging(before): pytest.fail("Timeout")
def test_left_out(before): pytest.skip("no")
"""


async def test_a_failed_assertion_is_tried_again_and_shown(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE, encoding="utf-8")
    root = str(Path(__file__).parents[2])
    code, out, err = await finished(
        *(sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-c", "/dev/null"),
        *("-p", "tests.support.chance", str(tmp_path)),
        env=clean_environment(PYTHONPATH=root),
    )
    outcomes: dict[str, list[str]] = {}
    for name, outcome in re.findall(r"::test_(\w+) ([A-Z]+)", out):
        outcomes.setdefault(name, []).append(outcome)
    assert outcomes == {
        "sound": ["PASSED"],
        "unlucky": ["AGAIN", "PASSED"],
        "unlucky_twice": ["AGAIN", "AGAIN", "PASSED"],
        "unlucky_thrice": ["AGAIN", "AGAIN", "FAILED"],
        "broken": ["FAILED"],
        "hanging": ["FAILED"],
        "left_out": ["SKIPPED"],
    }, (out, err)
    assert (code, out.count("\nAGAIN ")) == (1, 5)
    assert "3 failed, 3 passed, 1 skipped, 5 again" in out
