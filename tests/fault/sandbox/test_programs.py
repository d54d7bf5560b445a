"""What a program of good will can do, and what comes out of it."""

import pytest

from selfheal.graph.sandbox.protocol import (
    Limits,
    Sandbox,
)
from selfheal.graph.sandbox.values import Opaque
from tests.support.sandboxes import attack, kernel, raised


async def test_values_output_and_exceptions_come_out(sandbox: Sandbox) -> None:
    code = """
import dataclasses, datetime
@dataclasses.dataclass
class P:
    x: "int"
class Mine(ValueError): ...
def f(n):
    print("got", n)
    if n < 0:
        raise Mine("negative")
    return {n: [n, (1.5, None)]}
"""
    calls = ("f(1)", "f(-1)", "P(3)", "datetime.date(2026, 1, 2)", "1 +", "nope", "__name__")
    run = await attack(sandbox, code, *calls)
    assert (run.backend, run.status, run.detail) == (sandbox.name, "ok", "")
    assert run.stdout == "got 1\ngot -1\n"
    assert [result.call for result in run.results] == list(calls)
    assert run.results[0].value == {1: [1, (1.5, None)]}
    assert (run.results[1].raised or ())[:2] == ("Mine", "ValueError")
    assert run.results[1].message == "negative"
    assert run.results[2].value == Opaque("P", "P(x=3)")
    assert str(run.results[3].value) == "2026-01-02"
    assert [raised(result) for result in run.results[4:6]] == ["SyntaxError", "NameError"]
    assert run.results[6].value == "__program__"


async def test_the_usual_library_works(sandbox: Sandbox) -> None:
    code = """
import asyncio, concurrent.futures, tempfile, os, random, re, sqlite3, hashlib, zoneinfo, threading
async def later():
    await asyncio.sleep(0)
    return "done"
def pool():
    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        return list(executor.map(lambda n: n * n, range(5)))
def keep():
    with tempfile.NamedTemporaryFile("w+") as file:
        file.write("kept")
        file.seek(0)
        return file.read(), os.path.exists("plain") or open("plain", "w").write("ab")
"""
    calls = (
        "asyncio.run(later())", "pool()", "keep()", "hashlib.sha256(b'').hexdigest()[:4]",
        "sqlite3.connect(':memory:').execute('select 1').fetchone()", "open('/dev/null').read()",
        "input()", "str(zoneinfo.ZoneInfo('Europe/Berlin'))",
    )  # fmt: skip
    run = await attack(sandbox, code, *calls, limits=Limits())
    assert run.status == "ok", run
    values = [result.value for result in run.results]
    assert [values[0], *values[2:5]] == ["done", ("kept", 2), "e3b0", (1,)], run.results
    assert raised(run.results[6]) == "EOFError"
    if sandbox.name == "wasm":  # no threads, no devices, no time zones but those of a fixed offset
        names = [raised(run.results[number]) for number in (1, 5, 7)]
        assert names == ["RuntimeError", "FileNotFoundError", "ZoneInfoNotFoundError"]
    else:
        assert [values[1], values[5], values[7]] == [[0, 1, 4, 9, 16], "", "Europe/Berlin"]


@kernel
async def test_the_library_works_that_uses_locks_pipes_and_sockets(sandbox: Sandbox) -> None:
    code = """
import asyncio, fcntl, os, selectors, signal, socket, sqlite3, threading, time
def stored():
    for each in range(2):
        with sqlite3.connect("kept.db") as database:
            database.execute("create table if not exists t (n)")
            database.execute("insert into t values (1)")
        database.close()
    return sqlite3.connect("kept.db").execute("select count(*) from t").fetchone()
def locked():
    with open("locked", "w") as one, open("locked", "w") as other:
        fcntl.lockf(one, fcntl.LOCK_EX)
        fcntl.lockf(one, fcntl.LOCK_UN)
        fcntl.flock(one, fcntl.LOCK_EX)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return "kept out"
async def paired():
    one, other = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=one)
    loop = asyncio.get_running_loop()
    loop.call_later(0.01, other.send, b"sent")
    got = await reader.read(4)
    writer.close()
    await asyncio.to_thread(other.close)
    return got
def piped():
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETFL, os.O_NONBLOCK)
    return os.write(writing, bytes(100_000)), os.get_inheritable(reading)
def alarmed():
    heard = []
    signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(0.1)
    return heard
"""
    calls = ("stored()", "locked()", "asyncio.run(paired())", "piped()", "alarmed()")
    run = await attack(sandbox, code, *calls, limits=Limits())
    values = [result.value for result in run.results]
    assert values == [(2,), "kept out", b"sent", (65536, False), [1]], run.results


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ("x = 1\nraise KeyError('lost')", "KeyError: 'lost' (line 2)"),
        ("def f(:\n  pass", "SyntaxError: invalid syntax (line 1)"),
        ("def f():\n    1/0\nf()\n", "ZeroDivisionError: division by zero (line 2)"),
        ("import sys\nsys.exit(3)", "the module ended itself with sys.exit(3) (line 2)"),
        ("exit()", "the module ended itself with sys.exit() (line 1)"),
        ("a = '\ud800'", "UnicodeEncodeError"),
        ("a = '\0'", "null byte"),
        ("raise BaseException", "BaseException"),
        ("import py_landlock_, pytest", "ModuleNotFoundError"),
    ],
)
async def test_a_module_that_fails_is_an_error_in_words(
    sandbox: Sandbox, code: str, detail: str
) -> None:
    run = await attack(sandbox, code, "1")
    assert run.status == "error"
    assert detail in run.detail
    assert run.results == ()


async def test_what_is_installed_here_is_not_visible(sandbox: Sandbox) -> None:
    run = await attack(sandbox, "", "__import__('fastapi')", "__import__('pytest')")
    assert [raised(result) for result in run.results] == ["ModuleNotFoundError"] * 2
