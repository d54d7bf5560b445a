"""A machine that is short of something: the sandbox broke, the program did not fail."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from bench.harness.processes import clean_environment, finished
from selfheal.graph.sandbox import selection
from selfheal.graph.sandbox.protocol import Program, SandboxUnavailable

reports = [each for each in asyncio.run(selection.survey()) if each.name in ("bwrap", "landlock")]


@pytest.fixture(params=reports, ids=lambda report: report.name)
def backend(request: pytest.FixtureRequest) -> str:
    report: selection.BackendReport = request.param
    if not report.ok:
        pytest.skip(f"NOT TESTED: {report.name} does not work here: {report.reason}")
    return report.name


async def test_without_descriptors_the_sandbox_is_unavailable_and_none_is_lost(
    backend: str,
) -> None:
    command = (sys.executable, "-m", "tests.support.descriptor_limit", backend)
    code, out, err = await finished(*command, env=clean_environment())
    assert code == 0, err
    told = [json.loads(line) for line in out.splitlines()]
    words = [each[0] for each in told]
    assert words[0] == "unavailable"
    assert words[-1] == "ok"
    assert words == sorted(words, reverse=True), words  # never "the program failed"
    assert {each[1] for each in told} == {0}


async def test_without_a_place_for_files_the_sandbox_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not next(each.ok for each in reports if each.name == "landlock"):
        pytest.skip("NOT TESTED: landlock does not work here")
    sandbox = await selection.select_sandbox("landlock")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(SandboxUnavailable, match="cannot create a folder"):
        await sandbox.run(Program("x = 1", ("x",)))
