"""Calls of our own functions in a separate process, with limits of time and memory.

For functions that read untrusted text by C code which holds the interpreter's lock, such as
Python's parser: no thread could stop it or run beside it. The text is data; it is never executed.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any, Final

_SECONDS: Final = 5.0
_CPU_SECONDS: Final = 5
_MEMORY_BYTES: Final = 2**30
_CALL: Final = """
import importlib, json, resource, sys
cpu, memory = map(int, sys.argv[1:3])
resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
function = getattr(importlib.import_module(sys.argv[3]), sys.argv[4])
json.dump(function(*json.load(sys.stdin)), sys.stdout)
"""


class IsolatedCallError(Exception):
    """The process exceeded its limits, or failed."""


async def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in another process, which takes 50 ms and more.

    Args:
        function: of a module's top level.
        arguments: JSON values, as is the result.

    Raises:
        IsolatedCallError: it took longer than 5 s, more than 1 GB, raised, or broke.
    """
    limits = (str(_CPU_SECONDS), str(_MEMORY_BYTES))
    try:
        async with asyncio.timeout(_SECONDS):
            output = await _run(
                json.dumps(arguments).encode(), *limits, function.__module__, function.__name__
            )
        return json.loads(output)
    except (TimeoutError, OSError, ValueError) as error:
        raise IsolatedCallError(f"{function.__name__} failed in its own process") from error


async def _run(given: bytes, *arguments: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-c", _CALL, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
    )
    try:
        output, _ = await process.communicate(given)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output
