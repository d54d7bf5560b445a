"""Which sandbox to use: the first that passes its self-test on this machine."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from selfheal.graph.sandbox import bwrap, landlock, wasm
from selfheal.graph.sandbox.packages import NO_PACKAGES, Packages
from selfheal.graph.sandbox.protocol import Sandbox, SandboxUnavailable
from selfheal.graph.sandbox.self_test import examine, examine_packages
from selfheal.graph.sandbox.static import StaticSandbox

logger = logging.getLogger(__name__)

# The strongest and fastest first.
_BACKENDS: dict[str, tuple[Callable[[Path | None], Sandbox], str]] = {
    "bwrap": (bwrap.BwrapSandbox, bwrap.MEND),
    "landlock": (landlock.LandlockSandbox, landlock.MEND),
    "wasm": (wasm.WasmSandbox, wasm.MEND),
}
CHOICES = ("auto", *_BACKENDS, "static")


@dataclass(frozen=True, slots=True)
class BackendReport:
    """Whether a backend works here, else why not and what to do about it."""

    name: str
    ok: bool
    reason: str
    mend: str


@contextlib.asynccontextmanager
async def open_sandbox(
    choice: str = "auto", packages: Packages = NO_PACKAGES
) -> AsyncIterator[Sandbox]:
    """Select a sandbox, and close it in the end; see `select_sandbox`."""
    sandbox = await select_sandbox(choice, packages)
    try:
        yield sandbox
    finally:
        await sandbox.aclose()


async def select_sandbox(choice: str = "auto", packages: Packages = NO_PACKAGES) -> Sandbox:
    """Return the chosen sandbox, tried out; `auto` takes the first that works, else `static`.

    Whoever selects it closes it. Programs can import the packages.

    Raises:
        SandboxUnavailable: a backend chosen by name does not work here; says why, and the mend.
        ValueError: there is no such choice.
    """
    if choice not in CHOICES:
        raise ValueError(f"no sandbox {choice!r}: choose one of {', '.join(CHOICES)}")
    if choice == "static":
        return StaticSandbox("not executed: the static sandbox was chosen, which runs nothing")
    if choice != "auto":
        return await _tried(choice, packages)
    reasons = []
    for name in _BACKENDS:
        try:
            return await _tried(name, packages)
        except SandboxUnavailable as problem:
            reasons.append(f"{name}: {problem.reason}")
    return StaticSandbox(f"not executed: no sandbox works here ({'; '.join(reasons)})")


async def survey(packages: Packages = NO_PACKAGES) -> list[BackendReport]:
    """Try every backend, for `selfheal doctor`."""
    return [await _report(name, packages) for name in _BACKENDS]


async def _tried(name: str, packages: Packages) -> Sandbox:
    logger.info("checking the sandbox %s", name)
    make, mend = _BACKENDS[name]
    sandbox = make(packages.folder)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(sandbox.aclose)
        try:
            await examine(sandbox)
            if packages.folder:
                await examine_packages(sandbox)
        except SandboxUnavailable as problem:
            raise SandboxUnavailable(problem.reason, problem.mend or mend) from problem
        except OSError as problem:
            raise SandboxUnavailable(
                f"the self-test cannot be set up: {problem}", mend
            ) from problem
        stack.pop_all()
    return sandbox


async def _report(name: str, packages: Packages) -> BackendReport:
    try:
        await (await _tried(name, packages)).aclose()
    except SandboxUnavailable as problem:
        return BackendReport(name, ok=False, reason=problem.reason, mend=problem.mend)
    return BackendReport(name, ok=True, reason="its self-test passes", mend="")
