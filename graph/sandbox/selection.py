"""Selection of the sandbox: the first one that passes its self-test on this machine."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from selfheal.graph.sandbox import bwrap, landlock, wasm
from selfheal.graph.sandbox.packages import NO_PACKAGES, Packages
from selfheal.graph.sandbox.protocol import (
    DEFAULT_LIMITS,
    Execution,
    Limits,
    Program,
    Sandbox,
    SandboxUnavailable,
)
from selfheal.graph.sandbox.self_test import examine, examine_packages

logger = logging.getLogger(__name__)

# The strongest and fastest first.
_BACKENDS: dict[str, tuple[Callable[[Path | None], Sandbox], str]] = {
    "bwrap": (bwrap.BwrapSandbox, bwrap.REMEDY),
    "landlock": (landlock.LandlockSandbox, landlock.REMEDY),
    "wasm": (wasm.WasmSandbox, wasm.REMEDY),
}
CHOICES = ("auto", *_BACKENDS, "static")


class StaticSandbox:
    """Runs nothing: every execution is `not_run`, neither pass nor fail.

    Args:
        reason: why, for the detail of executions.
    """

    name = "static"

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def run(self, program: Program, limits: Limits = DEFAULT_LIMITS) -> Execution:
        """Return an execution that says why the program was not run."""
        return Execution(self.name, "not_run", self._reason, 0.0, "", ())

    async def aclose(self) -> None:
        """Do nothing: nothing is kept between runs."""


@dataclass(frozen=True, slots=True)
class BackendReport:
    """Whether a backend works on this machine, why not, and a remedy."""

    name: str
    ok: bool
    reason: str
    remedy: str


@contextlib.asynccontextmanager
async def open_sandbox(
    choice: str = "auto", packages: Packages = NO_PACKAGES
) -> AsyncIterator[Sandbox]:
    """Select a sandbox for the body and close it afterwards. See `select_sandbox`."""
    sandbox = await select_sandbox(choice, packages)
    try:
        yield sandbox
    finally:
        await sandbox.aclose()


async def select_sandbox(choice: str = "auto", packages: Packages = NO_PACKAGES) -> Sandbox:
    """Return a sandbox that passed its self-test; the caller closes it.

    Args:
        choice: a backend's name, `static`, or `auto` for the first backend that works, else
            `static`.
        packages: that programs can import.

    Raises:
        SandboxUnavailable: the named backend does not work here; with reason and remedy.
        ValueError: there is no such choice.
    """
    if choice not in CHOICES:
        raise ValueError(f"no sandbox {choice!r}: choose one of {', '.join(CHOICES)}")
    if choice == "static":
        return StaticSandbox("not executed: the static sandbox was chosen, which runs nothing")
    if choice != "auto":
        return await _tested(choice, packages)
    reasons = []
    for name in _BACKENDS:
        try:
            return await _tested(name, packages)
        except SandboxUnavailable as problem:
            reasons.append(f"{name}: {problem.reason}")
    return StaticSandbox(f"not executed: no sandbox works here ({'; '.join(reasons)})")


async def survey(packages: Packages = NO_PACKAGES) -> list[BackendReport]:
    """Test every backend, for `selfheal doctor`."""
    return [await _report(name, packages) for name in _BACKENDS]


async def _tested(name: str, packages: Packages) -> Sandbox:
    logger.info("checking the sandbox %s", name)
    make, remedy = _BACKENDS[name]
    sandbox = make(packages.folder)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(sandbox.aclose)
        try:
            await examine(sandbox)
            if packages.folder:
                await examine_packages(sandbox)
        except SandboxUnavailable as problem:
            raise SandboxUnavailable(problem.reason, problem.remedy or remedy) from problem
        except OSError as problem:
            raise SandboxUnavailable(
                f"the self-test cannot be set up: {problem}", remedy
            ) from problem
        stack.pop_all()
    return sandbox


async def _report(name: str, packages: Packages) -> BackendReport:
    try:
        await (await _tested(name, packages)).aclose()
    except SandboxUnavailable as problem:
        return BackendReport(name, ok=False, reason=problem.reason, remedy=problem.remedy)
    return BackendReport(name, ok=True, reason="its self-test passes", remedy="")
