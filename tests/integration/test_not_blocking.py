"""Nothing that a run does may block the event loop: Studio's server refuses it, and so do we."""

import pytest
from blockbuster import blockbuster_ctx

from graph.rules.linter import lint
from graph.sandbox.contract import Program
from graph.sandbox.select import select_sandbox, survey


async def test_neither_sandbox_nor_linter_blocks_the_loop() -> None:
    working = [report.name for report in await survey() if report.ok]
    if not working:
        pytest.skip("no sandbox works on this machine")
    for name in working:
        sandbox = await select_sandbox(name)
        with blockbuster_ctx():
            execution = await sandbox.run(Program("x = 1", ("x",)))
            assert await lint("x = 1") is not None
        assert execution.status == "ok"
