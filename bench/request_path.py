"""The files that one request passes: `python -m bench.request_path [--list]`.

A service with the role `all` runs in this process on a Postgres of its own, with the SIMULATED
model. One `POST /runs/wait` warms it up. During the next one a profile function, set in every
thread, records each Python function of this repository that is called, from the first byte of the
request to the last byte of its answer.

Periodic tasks (lease recovery, crons, webhooks, retention, the scheduler, the listener for
notifications) are not counted: they are started with a context variable set, and calls in their
context are ignored. The sandbox runs programs in other processes, which are not traced.
"""

import argparse
import asyncio
import os
import sys
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, Final

import httpx

from bench.experiment.world import simulated_gemini
from selfheal.db.embedded.server import embedded_postgres
from selfheal.server.app import create_app
from selfheal.server.execution.optimizer import scheduling
from selfheal.server.http_server import serving
from selfheal.server.service import executing, open_service
from selfheal.server.settings import read_settings

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGES: Final = ("app", "db", "graph", "optimizer", "server")
REQUEST: Final = {
    "assistant_id": "agent",
    "input": {
        "request": "Write is_leap_year(year): is a year a leap year?",
        "examples": [{"call": "is_leap_year(2000)", "returns": "True"}],
    },
}

_background: ContextVar[bool] = ContextVar("background", default=False)


class Recorder:
    """Records the called functions of this repository while it is on, by file."""

    def __init__(self) -> None:
        self.on = False
        self.functions: dict[str, set[str]] = defaultdict(set)
        self._ours: dict[str, str] = {}

    def profile(self, frame: FrameType, event: str, _: Any) -> None:
        """Record a call; for `sys.setprofile`."""
        if not self.on or event != "call" or _background.get():
            return
        code = frame.f_code
        if (name := self._name(code.co_filename)) and code.co_name != "<module>":
            self.functions[name].add(code.co_qualname)

    def _name(self, path: str) -> str:
        """Return a file's path in the repository, empty for other files."""
        if (known := self._ours.get(path)) is None:
            file = Path(os.path.realpath(path))  # the package is a folder of links
            inside = file.is_relative_to(ROOT) and file.relative_to(ROOT).parts[0] in PACKAGES
            known = self._ours[path] = str(file.relative_to(ROOT)) if inside else ""
        return known


@contextmanager
def profiling(recorder: Recorder) -> Iterator[None]:
    """Record the calls of this thread, and of those that are started in the body."""
    threading.setprofile(recorder.profile)
    sys.setprofile(recorder.profile)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


@asynccontextmanager
async def service_in_process() -> AsyncIterator[str]:
    """Open the service of the role `all`; yield its URL. Its periodic tasks are background."""
    settings = read_settings()
    async with AsyncExitStack() as stack:
        token = _background.set(True)
        opening = open_service(settings, local=True, interval=0)
        service, scheduler = await stack.enter_async_context(opening)
        await service.context.model.connect()
        await stack.enter_async_context(scheduling(scheduler))
        await stack.enter_async_context(executing(service))
        _background.reset(token)
        yield await stack.enter_async_context(serving(create_app(service, scheduler)))


async def request(client: httpx.AsyncClient) -> None:
    """Execute a run.

    Raises:
        RuntimeError: it ended without a verdict.
    """
    answer = await client.post("/runs/wait", json=REQUEST)
    if "evaluation" not in answer.json():
        raise RuntimeError(f"no verdict: {answer.text}")


async def measure() -> dict[str, set[str]]:
    """Return the functions that one request calls, by file."""
    recorder = Recorder()
    with simulated_gemini() as gemini, TemporaryDirectory(prefix="request-path-") as folder:
        async with embedded_postgres(Path(folder)) as url:
            os.environ |= {
                "DATABASE_URL": url,
                "GOOGLE_API_KEY": "simulated",
                "GOOGLE_GEMINI_BASE_URL": gemini,
                "SELFHEAL_OPTIMIZE_EVERY_SECONDS": "0",
            }
            with profiling(recorder):
                async with (
                    service_in_process() as address,
                    httpx.AsyncClient(base_url=address, timeout=60) as client,
                ):
                    await request(client)
                    recorder.on = True
                    await request(client)
                    recorder.on = False
    return dict(recorder.functions)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.request_path", description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the functions too")
    options = parser.parse_args()
    found = asyncio.run(measure())
    print("SIMULATED: the model is the project's stand-in.")
    for name in sorted(found):
        print(f"{name:45} {len(found[name]):3} functions")
        if options.list:
            print("".join(f"    {each}\n" for each in sorted(found[name])), end="")
    for package in PACKAGES:
        print(f"{package:10} {sum(name.startswith(f'{package}/') for name in found):3} files")
    print(f"{'all':10} {len(found):3} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
