"""Clients that say nothing, stop half-way or never read: they are closed, and others are served."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request
from starlette.responses import StreamingResponse

from bench.harness.processes import Process, finished, selfheal, started
from selfheal.server import http_server
from selfheal.server.api import connections, middleware
from selfheal.server.api.middleware import BODY, BodyLimit
from selfheal.server.binding import listen

SAYS = r"serving on (http://\S+)"
ASK = {"assistant_id": "agent", "input": {"request": "Write add(a, b) that returns the sum."}}
HEAD = b"POST /runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def limited(files: str, *command: str) -> tuple[str, ...]:
    """Return a command that runs with a limit of open files, `-Sn` for the soft one alone."""
    return ("/bin/sh", "-c", f'ulimit {files} && exec "$@"', "sh", *command)


@contextlib.asynccontextmanager
async def served(
    env: Mapping[str, str], files: str = "-n 1024"
) -> AsyncIterator[tuple[Process, str]]:
    """Serve with a limit of open files."""
    command = limited(files, *selfheal("serve", "--port", "0"))
    async with started(*command, env=env, says=SAYS) as serving:
        yield serving


@contextlib.asynccontextmanager
async def connected(url: str, many: int, sent: bytes = b"") -> AsyncIterator[list[Streams]]:
    """Open connections, send the same on each, and close them in the end."""
    host, port = url.removeprefix("http://").split(":")
    streams: list[Streams] = []
    try:
        for _ in range(many):
            streams.append(await asyncio.open_connection(host, port))
            streams[-1][1].write(sent)
        yield streams
    finally:
        for _, writer in streams:
            writer.transport.abort()


async def is_served(url: str) -> bool:
    """Tell whether a run gets its sandbox, its model and its place in the log."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        answer = await client.post("/runs/wait", json=ASK)
        return "code" in answer.json()


def memory(process: Process) -> int:
    """Return the bytes that a process holds."""
    pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def test_a_thousand_silent_clients_take_nothing_from_a_run(
    service_env: dict[str, str],
) -> None:
    async with served(service_env) as (_, url):
        assert await is_served(url)
        async with connected(url, 1_000):
            assert await is_served(url)


@pytest.mark.parametrize("stated", [True, False])
async def test_two_hundred_stalled_bodies_hold_little_memory(
    service_env: dict[str, str], stated: bool
) -> None:
    body = b'{"a":"' + b"x" * (BODY.size - 20)
    length = f"Content-Length: {BODY.size}\r\n\r\n".encode()
    chunk = f"Transfer-Encoding: chunked\r\n\r\n{BODY.size:x}\r\n".encode()
    async with served(service_env, "-n 4096") as (process, url):
        assert await is_served(url)
        before = memory(process)
        async with connected(url, 200, HEAD + (length if stated else chunk) + body) as streams:
            for _, writer in streams:
                with contextlib.suppress(ConnectionError, TimeoutError):
                    await asyncio.wait_for(writer.drain(), 0.05)
            assert await is_served(url)
            assert memory(process) <= 1.5 * before
        assert await is_served(url)


async def test_the_soft_limit_of_open_files_is_raised() -> None:
    shown = (
        "import resource;"
        "from selfheal.server.api.connections import allowed_connections as allowed;"
        "print(allowed(20), resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    command = (sys.executable, "-c", shown)
    _, out, _ = await finished(*limited("-Sn 256 && ulimit -Hn 3000", *command), env=os.environ)
    assert out.split(maxsplit=1) == ["2000", "(3000, 3000)\n"]
    _, out, _ = await finished(*limited("-n 1024", *command), env=os.environ)
    most = int(out.split()[0])
    assert 200 < most < 1024 - 20 * 20  # what twenty runs need is left


def application() -> FastAPI:
    """Return an application that reads bodies, and one answer of which has no end."""
    app = FastAPI()

    @app.post("/runs")
    async def read(request: Request) -> int:
        return len(await request.body())

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            while True:
                await asyncio.sleep(0)
                yield b"x" * 65_536

        return StreamingResponse(body())

    app.add_middleware(BodyLimit)
    return app


@contextlib.asynccontextmanager
async def here(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> AsyncIterator[str]:
    """Serve in this process with other limits."""
    for name, value in settings.items():
        module = next(
            each for each in (connections, middleware, http_server) if hasattr(each, name)
        )
        monkeypatch.setattr(module, name, value)
    with listen("127.0.0.1", 0) as listener:
        async with http_server.beside(application(), listener):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"


async def is_closed(streams: Streams) -> bool:
    """Wait until the other side closes a connection; False if it does not."""
    try:
        async with asyncio.timeout(20):
            while await streams[0].read(65_536):
                pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


async def is_cut_off(writer: asyncio.StreamWriter) -> bool:
    """Send byte after byte until the other side takes no more; False if it goes on taking them."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(20):
            while not writer.is_closing():
                writer.write(b"x")
                await asyncio.sleep(0.01)
            return True
    return False


async def is_answered_no_more() -> bool:
    """Wait until this process's servers answer nothing; False if they go on."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(20):
            while any("run_asgi" in repr(each) for each in asyncio.all_tasks()):
                await asyncio.sleep(0.02)
            return True
    return False


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /ok HTTP/1.1\r\nHost: loc",
        b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\nGET /no",
        HEAD + b"Content-Length: 100\r\n\r\nxx",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
        # What nobody reads of a body comes no further either.
        b"GET /none HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nxx",
    ],
    ids=["nothing", "half a head", "half a second head", "half a body", "chunks", "unread body"],
)
async def test_who_keeps_us_waiting_is_closed(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    quick = {"_HEAD_SECONDS": 0.3, "_BODY_SECONDS": 0.3}
    async with here(monkeypatch, **quick) as url, connected(url, 1, sent) as (streams,):
        assert await is_closed(streams)


async def test_who_sends_a_head_byte_by_byte_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with here(monkeypatch, _HEAD_SECONDS=0.5) as url, connected(url, 1) as (streams,):
        sent = 0
        with contextlib.suppress(ConnectionError):
            for _ in range(2_000):
                streams[1].write(b"G")
                await streams[1].drain()
                await asyncio.sleep(0.01)
                sent += 1
        assert sent < 2_000


async def test_who_does_not_read_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with here(monkeypatch, _UNREAD_SECONDS=0.3) as url, connected(url, 1, ask) as (streams,):
        streams[0]._transport.pause_reading()  # type: ignore[attr-defined]
        assert await is_answered_no_more()


async def test_a_newcomer_takes_the_place_of_the_longest_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with here(monkeypatch, _FEW=5) as url, connected(url, 5) as silent:
        async with httpx.AsyncClient(base_url=url) as client:
            for _ in range(3):
                assert (await client.post("/runs", content=b"abc")).json() == 3
        assert await is_closed(silent[0])
        silent[1][1].write(HEAD + b"Content-Length: 0\r\n\r\n")
        assert (await silent[1][0].readline()).startswith(b"HTTP/1.1 200")


async def test_a_body_that_comes_too_slowly_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "_BODY_SECONDS", 0.2)
    sent = HEAD + b"Content-Length: 100\r\n\r\nxx"
    async with here(monkeypatch) as url, connected(url, 1, sent) as (streams,):
        assert b" 408 " in await streams[0].readline()


async def test_what_describes_the_service_is_made_before_anybody_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class AnnouncedError(Exception):
        """It would serve now."""

    def announce() -> None:
        raise AnnouncedError

    monkeypatch.setattr(http_server, "on_termination", lambda _: None)
    app, loop = application(), asyncio.get_running_loop()
    with listen("127.0.0.1", 0) as listener, pytest.raises(AnnouncedError):
        await http_server.serve_until_stopped(app, listener, announce, 5)
    loop.remove_signal_handler(signal.SIGINT)
    assert app.openapi_schema is not None


class Sending:
    """One request at a `BodyLimit`, whose body comes when the test says so."""

    def __init__(self, limit: BodyLimit) -> None:
        self._parts: asyncio.Queue[bytes] = asyncio.Queue()
        scope = {"type": "http", "headers": []}
        self._answer = asyncio.create_task(limit(scope, self._receive, self._send))

    async def _receive(self) -> Any:
        part = await self._parts.get()
        return {"type": "http.request", "body": part, "more_body": bool(part)}

    async def _send(self, message: Any) -> None:
        pass

    async def sends(self, size: int) -> None:
        """Send so many bytes, and wait until they are read; 0 ends the body.

        Raises:
            HTTPException: they were refused.
        """
        self._parts.put_nowait(b"x" * size)
        while not self._parts.empty() and not self._answer.done():
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        if self._answer.done() or not size:
            await self._answer


async def _reads(scope: Any, receive: Any, send: Any) -> None:
    while (await receive())["more_body"]:
        pass


async def test_bodies_together_are_bounded_and_small_ones_always_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(middleware, "_HELD_BYTES", BODY.size)
    limit = BodyLimit(_reads)
    first, second, third, small = (Sending(limit) for _ in range(4))
    half = BODY.size // 2
    await first.sends(half)
    await second.sends(half)
    with pytest.raises(HTTPException) as refused:
        await third.sends(half)
    assert (refused.value.status_code, refused.value.headers) == (503, {"Retry-After": "5"})
    await small.sends(30_000)
    await small.sends(0)
    await first.sends(0)
    fourth = Sending(limit)
    await fourth.sends(half)  # there is room again
    await fourth.sends(0)
    await second.sends(0)
    assert limit.held == 0


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
async def test_who_is_refused_before_its_body_is_read_gets_the_answer(
    monkeypatch: pytest.MonkeyPatch, connection: str
) -> None:
    size = 16 * 2**20  # more than the kernel takes in for us
    head = f"POST /none HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n"
    sent = f"{head}Content-Length: {size}\r\n\r\n".encode() + b"x" * size
    async with here(monkeypatch) as url, connected(url, 1, sent) as ((reader, writer),):
        async with asyncio.timeout(20):
            await writer.drain()
            assert b" 404 " in await reader.readline()
            assert connection == "keep-alive" or (await reader.read()).endswith(b'"Not Found"}')


async def test_what_is_thrown_away_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    head = b"POST /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    sent = head + b"Content-Length: 1000000\r\n\r\nxx"
    async with here(monkeypatch, _LINGER_SECONDS=0.3) as url, connected(url, 1, sent) as (streams,):
        assert await is_closed(streams)
        assert await is_cut_off(streams[1])


@pytest.mark.parametrize("length", [BODY.size, BODY.size + 1])
async def test_a_body_is_counted_by_what_it_says_and_by_what_comes(
    monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"x" * length

    async with here(monkeypatch) as url, httpx.AsyncClient(base_url=url) as client:
        for content in (b"x" * length, parts()):
            answer = await client.post("/runs", content=content)
            assert answer.status_code == (200 if length <= BODY.size else 413)
