"""A sandbox near the limit of file descriptors: `python -m tests.support.descriptor_limit BACKEND`.

Prints, for each limit, the status of the same sound program and the number of leaked descriptors.
"""

import asyncio
import json
import resource
import sys
from pathlib import Path

from selfheal.graph.sandbox.protocol import Program, SandboxUnavailable
from selfheal.graph.sandbox.selection import select_sandbox

GOOD = Program("x = 1", ("x",))


def _open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def main(backend: str) -> None:
    """Run the program with one descriptor to spare, two, three …"""
    sandbox = await select_sandbox(backend)
    await sandbox.run(GOOD)
    used = _open()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for spare in range(1, 25):
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + spare, hard))
        try:
            status: str = (await sandbox.run(GOOD)).status
        except SandboxUnavailable:
            status = "unavailable"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        print(json.dumps([status, _open() - used]))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
