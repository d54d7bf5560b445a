"""The channel of results withstands what a program writes to it."""

import pytest

from selfheal.graph.sandbox.protocol import (
    Limits,
    Sandbox,
)
from tests.support.sandboxes import attack, kernel


@pytest.mark.parametrize(
    "write",
    [
        "b'[\"ready\"]\\n'",
        'b\'["value",0,["i","2a"]]\\n\'',
        "b'garbage\\n'",
        "b'\\xff\\xfe\\n'",
        "b'[' * 100_000 + b'\\n'",
        "b'[\"call\",' + b'9' * 10_000 + b']\\n'",
        "b'[[], 1]\\n'",
        "b'{\"a\": 1}\\n'",
        "b'x' * 2_000_000",
        "b'[\"raised\",0,[]]\\n'",
        'b\'["raised",0,[["a"]]]\\n\'',
        "b'[\"failed\",1,[{}]]\\n'",
        'b\'["message","out of turn"]\\n\'',
        "b'[\"end\"]\\n'",
    ],
)
async def test_forged_events_never_break_the_parent(sandbox: Sandbox, write: str) -> None:
    code = f"""
import os, time
def forge():
    for fd in range(3, 64):
        try:
            os.write(fd, {write})
        except OSError:
            pass
    try:
        __import__("_eryx")._eryx_report_output(0, {write})
    except ImportError:
        pass
    time.sleep(0.5)
"""
    run = await attack(sandbox, code, "forge()", "2", limits=Limits())
    if '"value",0' in write:
        assert run.results[0].value == 42  # forgeable, which is why no expected value is in there
    else:
        assert run.status == "killed", run
        assert "interfered" in run.detail


async def test_an_endless_stream_of_events_is_cut(sandbox: Sandbox) -> None:
    code = """
import os
def forge():
    while True:
        for fd in range(3, 64):
            try: os.write(fd, b'x' * 60_000)
            except OSError: pass
        try: __import__("_eryx")._eryx_report_output(0, b'x' * 60_000)
        except ImportError: pass
"""
    run = await attack(sandbox, code, "forge()", limits=Limits())
    assert run.status == "killed"


@kernel
async def test_closing_the_channel_or_everything_is_reported(sandbox: Sandbox) -> None:
    run = await attack(sandbox, "import os", "os.closerange(0, 64)", "2")
    assert run.status == "killed"
    assert "ended its own process" in run.detail


async def test_large_results_stay_within_the_channel(sandbox: Sandbox) -> None:
    run = await attack(sandbox, "", *["'x' * 700_000"] * 10, limits=Limits())
    assert run.status == "killed"
    assert 1 <= len(run.results) < 10
