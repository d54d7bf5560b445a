"""The wasm sandbox's processes: kept warm, and no program sees anything of the one before it.

What every backend must do is in the folder sandbox/.
"""

import asyncio
import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from selfheal.graph.sandbox import selection, wasm, wasm_pool
from selfheal.graph.sandbox.protocol import Execution, Limits, Program, SandboxUnavailable
from selfheal.graph.sandbox.wasm import WasmSandbox

reports = {each.name: each for each in asyncio.run(selection.survey())}
report = reports["wasm"]
works = pytest.mark.skipif(not report.ok, reason=f"NOT TESTED: {report.reason}")


@pytest.fixture
async def sandbox() -> AsyncIterator[WasmSandbox]:
    if not report.ok:
        pytest.skip(f"NOT TESTED: wasm does not work here: {report.reason}")
    found = WasmSandbox(workers=1)
    yield found
    await found.aclose()
    assert workers() == []


def workers(parent: int | None = None) -> list[int]:
    """The worker processes of a service, zombies included."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = path.read_text().partition(") ")
            if int(rest.split()[1]) == (parent or os.getpid()) and "python" in name:
                found.append(int(path.parent.name))
    return found


def worker() -> int:
    (only,) = workers()
    return only


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def filters(pid: int) -> list[str]:
    """The seccomp mode of every thread."""
    texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return [text.partition("Seccomp:\t")[2][0] for text in texts]


def environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


async def run(sandbox: WasmSandbox, code: str, *calls: str, **limits: Any) -> Execution:
    return await sandbox.run(Program(code, calls), Limits(**limits))


async def value(sandbox: WasmSandbox, code: str, call: str) -> object:
    execution = await run(sandbox, code, call)
    assert execution.status == "ok", execution
    assert execution.results[0].raised is None, execution
    return execution.results[0].value


# One program and the next


async def test_no_state_goes_from_one_program_to_the_next(sandbox: WasmSandbox) -> None:
    leave = """
import builtins, json, os, random, sys, __main__
builtins.left = json.left = sys.left = os.left = __main__.left = "left"
sys.modules["left"] = json
sys.path.append("/data")
os.environ["LEFT"] = "left"
open("/data/left.py", "w").write("left = 1")
json.dumps = len = None
random.seed(7)
sys.stdout = None
sys.setrecursionlimit(77)
import _eryx
_eryx._eryx_report_output = None
"""
    look = """
import builtins, json, os, sys, __main__
def seen():
    print("printed")
    places = (builtins, json, sys, os, __main__)
    return [hasattr(place, "left") for place in places] + [
        "left" in sys.modules, "LEFT" in os.environ, os.listdir("/data"),
        sys.path[-1], json.dumps([1]), sys.getrecursionlimit() > 77,
    ]
"""
    before = await run(sandbox, look, "seen()")
    pid = worker()
    await run(sandbox, leave)
    after = await run(sandbox, look, "seen()")
    assert worker() == pid
    assert (after.results, after.stdout) == (before.results, "printed\n")
    seen = before.results[0].value
    assert isinstance(seen, list)
    assert seen[:8] == [*[False] * 7, []]


async def test_limits_are_those_of_the_program(sandbox: WasmSandbox) -> None:
    code = "def take(size): return len(bytearray(size))\ndef keep(size):\n"
    code += "    with open('kept', 'wb') as file: return file.write(bytes(size))"
    calls = ("take(100_000_000)", "keep(5_000_000)")
    for _ in range(2):
        small = await run(sandbox, code, *calls, memory_bytes=64 * 2**20, disk_bytes=2**20)
        large = await run(sandbox, code, *calls)
        assert [(result.raised or ())[:1] for result in small.results] == [
            ("MemoryError",),
            ("OSError",),
        ]
        assert [result.value for result in large.results] == [100_000_000, 5_000_000]


async def test_processor_time_is_counted_for_each_program_anew(sandbox: WasmSandbox) -> None:
    code = "import time\ndef burn(s):\n    end = time.time() + s\n    while time.time() < end: pass"
    pids = set()
    for _ in range(3):
        execution = await run(sandbox, code, "burn(0.8)", cpu_seconds=1)
        assert execution.status == "ok", execution
        pids.add(worker())
    assert len(pids) == 1
    assert (await run(sandbox, code, "burn(9)", cpu_seconds=1)).status == "timeout"


async def test_a_loop_of_the_programs_own_runs(sandbox: WasmSandbox) -> None:
    code = """
import asyncio
async def work(n):
    await asyncio.sleep(0.01)
    return n
async def main():
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(n)) for n in range(3)]
    return [task.result() for task in tasks]
"""
    execution = await run(sandbox, code, "asyncio.run(main())", "asyncio.run(main())")
    assert [result.value for result in execution.results] == [[0, 1, 2]] * 2


# The processes


async def test_a_worker_is_replaced_after_a_time_out(sandbox: WasmSandbox) -> None:
    assert await value(sandbox, "", "1") == 1
    first = worker()
    assert (await run(sandbox, "while True: pass", wall_seconds=0.3)).status == "timeout"
    assert workers() == []
    assert await value(sandbox, "", "2") == 2
    assert worker() != first


@pytest.mark.parametrize(
    "code",
    [
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1)\nf(0)",
        "import os\nos.abort()",
        "import threading\nthreading.Lock().acquire() and threading.Event().wait()",
        "import _eryx\n_eryx._eryx_report_output(0, b'garbage\\n')",
    ],
)
async def test_a_crash_is_reported_and_the_next_program_runs(
    sandbox: WasmSandbox, code: str
) -> None:
    execution = await run(sandbox, code)
    assert execution.status == "killed", execution
    assert await value(sandbox, "", "2") == 2


async def test_a_worker_killed_from_outside_is_no_fault_of_the_next_program(
    sandbox: WasmSandbox,
) -> None:
    assert await value(sandbox, "", "1") == 1
    os.kill(worker(), signal.SIGKILL)  # while it is idle
    await asyncio.sleep(0.2)
    assert await value(sandbox, "", "2") == 2
    running = asyncio.create_task(run(sandbox, "", "3", "__import__('time').sleep(9)"))
    await asyncio.sleep(0.3)
    os.kill(worker(), signal.SIGKILL)
    execution = await running
    assert (execution.status, execution.detail[:20]) == ("killed", "killed by the system")
    assert [result.value for result in execution.results] == [3]
    assert await value(sandbox, "", "4") == 4


@works
async def test_fifty_at_once_share_a_few_processes() -> None:
    sandbox = WasmSandbox(workers=2)
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, len(workers()))
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    values = await asyncio.gather(*(value(sandbox, f"n = {n}", "n * 2") for n in range(50)))
    watching.cancel()
    await sandbox.aclose()
    assert values == [n * 2 for n in range(50)]
    assert most == 2
    assert workers() == []


async def test_cancelled_while_waiting_for_a_turn(sandbox: WasmSandbox) -> None:
    first = asyncio.create_task(run(sandbox, "", "__import__('time').sleep(0.5) or 1"))
    others = [asyncio.create_task(run(sandbox, "", "2")) for _ in range(5)]
    await asyncio.sleep(0.1)
    for task in others[:4]:
        task.cancel()
    assert (await first).results[0].value == 1
    assert (await others[4]).results[0].value == 2
    assert all(task.cancelled() for task in others[:4])


@works
async def test_closing_leaves_nothing_and_ends_the_service_of_it() -> None:
    sandbox = WasmSandbox(workers=2)
    await asyncio.gather(*(value(sandbox, "", "1") for _ in range(4)))
    assert workers() != []
    await sandbox.aclose()
    await sandbox.aclose()
    assert workers() == []
    with pytest.raises(SandboxUnavailable, match="closed"):
        await run(sandbox, "", "1")


@works
@pytest.mark.parametrize("call", ["None", "__import__('time').sleep(60)", "sum(range(10**12))"])
def test_nothing_is_left_when_the_service_is_killed(call: str) -> None:
    script = f"""
        import asyncio
        from selfheal.graph.sandbox.protocol import Limits, Program
        from selfheal.graph.sandbox.wasm import WasmSandbox
        async def main():
            sandbox = WasmSandbox(workers=1)
            await sandbox.run(Program("", ("1",)))
            print("warm", flush=True)
            await sandbox.run(Program("", ({call!r},)), Limits(60, 60))
            await asyncio.sleep(60)
        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as service:
        assert service.stdout
        assert service.stdout.readline() == b"warm\n"
        (pid,) = workers(service.pid)
        time.sleep(0.5)
        service.kill()
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.05)
    pytest.fail("the worker outlived the service")


async def test_memory_stays_flat(sandbox: WasmSandbox) -> None:
    code = "x = [str(n) for n in range(20_000)]\ndef f(n): return x[n]"
    sizes = []
    for number in range(500):
        assert (await run(sandbox, code, "f(7)")).status == "ok"
        if number % 100 == 90:
            sizes.append(resident(worker()))
    assert max(sizes) < min(sizes) + 48 * 2**20, sizes
    assert max(sizes) < 400 * 2**20, sizes


async def test_a_worker_is_replaced_when_it_has_run_enough(
    sandbox: WasmSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wasm_pool, "MOST_RUNS", 2)
    pids = []
    for _ in range(4):
        await value(sandbox, "", "1")
        pids += workers()
    assert len(pids) == len(set(pids)) == 2


async def test_a_worker_knows_no_secret(
    sandbox: WasmSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "a-secret")
    await value(sandbox, "", "1")
    assert b"a-secret" not in environment(worker())


@pytest.mark.skipif(not reports["landlock"].ok, reason="seccomp is not to be had here")
async def test_a_worker_has_given_up_what_it_does_not_need(sandbox: WasmSandbox) -> None:
    await value(sandbox, "", "1")
    assert set(filters(worker())) == {"2"}


# Where it cannot be had


async def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SandboxUnavailable, match="pyeryx is not installed|3.12") as caught:
        await selection.select_sandbox("wasm")
    assert caught.value.remedy == wasm.REMEDY
    assert "selfheal[wasm]" in wasm.REMEDY


@works
async def test_code_that_others_could_have_changed_is_not_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path)
    folder = tmp_path / "wasm"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(SandboxUnavailable, match="others can write to"):
        await run(WasmSandbox(), "")
    folder.rmdir()
    folder.write_text("in the way")
    with pytest.raises(SandboxUnavailable, match="wasm cannot be started"):
        await run(WasmSandbox(), "")
