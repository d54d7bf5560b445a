"""The rules of fact agree with the verdicts that HumanEval's own tests gave real programs."""

import asyncio

import pytest

from bench.humaneval import FILE, judge_all
from selfheal.graph.sandbox import selection

reports = asyncio.run(selection.survey())


@pytest.mark.timeout(600)
@pytest.mark.skipif(not FILE.exists(), reason=f"NOT TESTED: there is no {FILE.name} here")
@pytest.mark.parametrize("report", reports, ids=lambda report: report.name)
async def test_facts_agree_with_humaneval(report: selection.BackendReport) -> None:
    if not report.ok:
        pytest.skip(f"NOT TESTED: {report.name} does not work here: {report.reason}")
    async with selection.open_sandbox(report.name) as sandbox:
        # The slower ones are asked about fewer: `python -m bench.humaneval` asks about all.
        judged = await judge_all(sandbox, lambda _: None, every=4 if report.name == "bwrap" else 12)
    assert sum(each.agrees for each in judged) / len(judged) >= 0.995
    assert [
        each.sample for each in judged if each.held and not each.sample.passed and not each.excused
    ] == []
    assert {each.facts.execution.status for each in judged} <= {"ok", "error", "timeout", "memory"}
