"""Nothing that a run does may block the event loop: Studio's server refuses it, and so do we."""

import asyncio

import pytest
from blockbuster import blockbuster_ctx

from selfheal.graph.rules.linter import lint
from selfheal.graph.sandbox.protocol import Program
from selfheal.graph.sandbox.selection import open_sandbox, survey


async def test_neither_sandbox_nor_linter_blocks_the_loop() -> None:
    working = [report.name for report in await survey() if report.ok]
    if not working:
        pytest.skip("no sandbox works on this machine")
    for name in working:
        async with open_sandbox(name) as sandbox:
            with blockbuster_ctx():
                # Long enough for the watcher to look at it a few times.
                program = Program("import time; time.sleep(0.3); x = 1", ("x",))
                cold_and_warm = (sandbox.run(program) for _ in range(4))
                executions = await asyncio.gather(*cold_and_warm)
                assert await lint("x = 1") is not None
        assert {execution.status for execution in executions} == {"ok"}
