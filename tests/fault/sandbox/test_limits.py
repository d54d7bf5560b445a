"""Limits of time, memory and output, and the ways in which a program can end."""

import time

import pytest

from selfheal.graph.sandbox.protocol import (
    Limits,
    Sandbox,
)
from tests.support.sandboxes import attack, kernel, raised


@pytest.mark.parametrize(
    "call",
    [
        "loop()", "sum(range(10**12))", "'a' * 30 in 'x' or re.match('(a+)+$', 'a' * 40 + 'b')",
        "time.sleep(60)", "threading.Event().wait()", "Bad().__init__() or repr(Bad())",
    ],
)  # fmt: skip
async def test_endless_calls_are_stopped_and_earlier_results_kept(
    sandbox: Sandbox, call: str
) -> None:
    code = """
import re, time, threading
def loop():
    while True: pass
class Bad:
    def __repr__(self):
        while True: pass
"""
    began = time.monotonic()
    run = await attack(sandbox, code, "40 + 2", call, "never")
    assert time.monotonic() - began < 4
    if sandbox.name == "wasm" and "threading" in call:  # waiting for nobody is seen there
        assert (run.status, run.detail[:17]) == ("killed", "killed by SIGABRT")
    else:
        assert run.status == "timeout"
        assert run.detail.startswith("stopped after 1 s: still running call '")
    assert call[:20] in run.detail
    assert [result.value for result in run.results] == [42]


async def test_an_endless_module_is_stopped(sandbox: Sandbox) -> None:
    run = await attack(sandbox, "while True: pass", "1")
    assert (run.status, run.detail) == ("timeout", "stopped after 1 s: still loading the module")


async def test_processor_time_is_limited_though_the_signal_is_ignored(sandbox: Sandbox) -> None:
    limits = Limits(wall_seconds=60, cpu_seconds=1)
    run = await attack(sandbox, "while True: pass", limits=limits)
    assert (run.status, run.detail[:35]) == ("timeout", "stopped after 1 s of processor time")
    deaf = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    run = await attack(sandbox, deaf, limits=limits)
    if sandbox.name == "wasm":  # the signal goes to the engine, which the program cannot make deaf
        assert run.status == "timeout"
    else:
        assert run.status == "killed"
    assert "processor time" in run.detail


async def test_an_exception_with_endless_text_is_still_reported(sandbox: Sandbox) -> None:
    code = """
class Evil(ValueError):
    def __str__(self):
        while True: pass
def f(): raise Evil
"""
    run = await attack(sandbox, code, "f()")
    assert run.status == "timeout"
    assert (run.results[0].raised or ())[:2] == ("Evil", "ValueError")
    run = await attack(sandbox, code + "f()")
    assert (run.status, run.detail) == ("error", "Evil (line 5)")


async def test_memory_refused_in_a_call_is_that_calls_exception(sandbox: Sandbox) -> None:
    code = "kept = []\ndef eat():\n    while True: kept.append(bytearray(10**6))"
    run = await attack(sandbox, code, "eat()", "kept.clear()", "7", limits=Limits())
    assert raised(run.results[0]) == "MemoryError"
    assert run.results[2].value == 7


async def test_deep_recursion_is_an_exception_or_a_death_in_words(sandbox: Sandbox) -> None:
    code = "import sys\ndef f(n): return f(n + 1)\ndef deep(f):\n    sys.setrecursionlimit(10**9)\n"
    run = await attack(sandbox, code + "    return f(0)", "f(0)", "deep(f)", limits=Limits())
    assert raised(run.results[0]) == "RecursionError"
    assert run.status in {"ok", "killed", "memory", "timeout"}
    crash = "import sys\nsys.setrecursionlimit(10**9)\nclass A:\n    def __getattr__(self, n):"
    run = await attack(sandbox, crash + " return getattr(self, n + 'x')\nA().y", limits=Limits())
    assert run.status in {"error", "killed", "memory"}
    assert run.detail


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        ("os._exit(0)", "killed", "it ended its own process (exit code 0)"),
        ("os._exit(1)", "killed", "it ended its own process (exit code 1)"),
    ],
)
async def test_a_program_that_ends_itself_is_reported(
    sandbox: Sandbox, call: str, status: str, words: str
) -> None:
    run = await attack(sandbox, "import os", "1", call, limits=Limits())
    assert run.status == status
    assert run.detail == f"{words}: still running call '{call}'"
    assert len(run.results) == 1


@kernel
@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        ("os._exit(3)", "killed", "it ended its own process (exit code 3)"),
        ("ctypes.string_at(0)", "killed", "killed by SIGSEGV"),
        ("signal.alarm(1) or time.sleep(5)", "killed", "killed by SIGALRM"),
    ],
)
async def test_a_program_that_ends_itself_by_the_kernel_is_reported(
    sandbox: Sandbox, call: str, status: str, words: str
) -> None:
    code = "import os, ctypes, signal, time"
    run = await attack(sandbox, code, "1", call, limits=Limits())
    assert run.status == status
    assert run.detail == f"{words}: still running call '{call}'"
    assert len(run.results) == 1


async def test_leaving_by_exception_is_only_that_calls_exception(sandbox: Sandbox) -> None:
    code = "import sys\ndef interrupt(): raise KeyboardInterrupt"
    run = await attack(sandbox, code, "sys.exit(3)", "interrupt()", "quit()", "5")
    names = [raised(result) for result in run.results[:3]]
    assert names == ["SystemExit", "KeyboardInterrupt", "SystemExit"]
    assert (run.status, run.results[3].value) == ("ok", 5)


async def test_exit_handlers_and_threads_do_not_outlive_the_calls(sandbox: Sandbox) -> None:
    code = """
import atexit, threading, time
@atexit.register
def last():
    print("never"); time.sleep(60)
try: threading.Thread(target=time.sleep, args=(60,)).start()
except RuntimeError: pass  # no threads in WASI
"""
    run = await attack(sandbox, code, "1")
    assert (run.status, run.stdout) == ("ok", "")
