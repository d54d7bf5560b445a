"""The sandboxes of this machine, and programs that are run in them."""

import asyncio
from collections.abc import Callable

import pytest

from selfheal.graph.sandbox import selection
from selfheal.graph.sandbox.bwrap import BwrapSandbox
from selfheal.graph.sandbox.landlock import LandlockSandbox
from selfheal.graph.sandbox.protocol import (
    CallResult,
    Execution,
    Limits,
    Program,
    Sandbox,
)
from selfheal.graph.sandbox.wasm import WasmSandbox

BACKENDS: dict[str, Callable[[], Sandbox]] = {
    "bwrap": BwrapSandbox,
    "landlock": LandlockSandbox,
    "wasm": WasmSandbox,
}
# What is about a kernel, its processes, signals and threads, which WASI does not have.
kernel = pytest.mark.parametrize("sandbox", ["bwrap", "landlock"], indirect=True)
QUICK = Limits(wall_seconds=1.0)
reports = {report.name: report for report in asyncio.run(selection.survey())}


def raised(result: CallResult) -> str:
    assert result.raised is not None, f"{result.call} returned {result.value!r}"
    return result.raised[0]


async def attack(sandbox: Sandbox, code: str, *calls: str, limits: Limits = QUICK) -> Execution:
    return await sandbox.run(Program(code, calls), limits)
