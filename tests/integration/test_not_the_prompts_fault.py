"""What a request asks for and the sandbox lacks is no failure of a prompt."""

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from bench.harness.healing import HealingHarness, open_healing_harness, passed
from bench.harness.scripted_model import Asked, agent_reply, serve_scripted_model
from bench.harness.service import Failed
from selfheal.db.pool import Database
from selfheal.db.settings import SettingsError
from selfheal.graph.rules.checks import CheckResults
from selfheal.graph.rules.unavailable import missing_resource
from selfheal.graph.rules.weights import Finding
from selfheal.graph.sandbox.packages import Packages, configured_packages, packages_in
from selfheal.graph.sandbox.protocol import Execution, Program, SandboxUnavailable
from selfheal.graph.sandbox.selection import open_sandbox, select_sandbox, survey
from selfheal.graph.state import Plan
from selfheal.server.settings import read_settings

NUMPY = """import numpy as np

def mean_of(values: list[float]) -> float:
    return float(np.mean(values))
"""
GUARDED = """try:
    import numpy as np
except ImportError:
    np = None

def mean_of(values):
    return float(np.mean(values))
"""
LAZY = """def mean_of(values):
    import numpy
    return float(numpy.mean(values))
"""
MEAN = [{"call": "mean_of([1.0, 3.0])", "returns": "2.0"}]
GREET = "name = input('Your name? ')\nprint(f'Hello, {name}!')\n"
DOWNLOAD = """from urllib.request import urlopen

page = urlopen("http://example.com", timeout=2).read()
"""

# The request, its examples, the program, and a word of the message.
REQUESTS: dict[str, tuple[str, list[dict[str, str]], str, str]] = {
    "numpy": ("Write mean_of(values) with numpy.", MEAN, NUMPY, "numpy"),
    "numpy, guarded": ("mean_of(values) by np.mean, please.", MEAN, GUARDED, "numpy"),
    "numpy, at the call": ("Write mean_of(values) using NumPy.", MEAN, LAZY, "numpy"),
    "another name": (
        "Fit a line with scikit-learn.",
        [],
        "from sklearn.linear_model import LinearRegression\n",
        "sklearn",
    ),
    "a word that is a module": (
        "Write fetch_all() with the requests library.",
        [],
        "import requests, json\n",
        "requests",
    ),
    "input": ("Write a script that asks for the user's name with input().", [], GREET, "input"),
    "input, in words": ("Write a program that asks the user who they are.", [], GREET, "input"),
    "input, in a call": (
        "Write greet(), which asks for a name with input().",
        [{"call": "greet()", "returns": "'Hello'"}],
        "def greet():\n    return 'Hello ' + input()\n",
        "input",
    ),
    "standard input": (
        "Write a script that sums the number in the first line of stdin.",
        [],
        "import sys\nprint(int(sys.stdin.readline()))\n",
        "standard input",
    ),
    "arguments": (
        "Write a command-line tool that prints its first argument.",
        [],
        "import sys\nprint(sys.argv[1])\n",
        "command line",
    ),
    "required arguments": (
        "Write a CLI with argparse that takes a path.",
        [],
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('path')\np.parse_args()\n",
        "command line",
    ),
    "network": ("Write a script that downloads http://example.com.", [], DOWNLOAD, "network"),
    "process": (
        "Write a script that runs the shell command ls.",
        [],
        "import subprocess\nsubprocess.run(['ls'], check=True)\n",
        "processes",
    ),
}
# What nobody asked for: the program is at fault.
FAILURES: dict[str, tuple[str, list[dict[str, str]], str]] = {
    "numpy, unasked": ("Write mean_of(values).", MEAN, NUMPY),
    "numpy, forbidden": ("Write mean_of(values) without numpy.", MEAN, NUMPY),
    "numpy, asked not to": ("mean_of(values); do not use the numpy package.", MEAN, NUMPY),
    "a word, not a module": (
        "Write a queue of requests.",
        [],
        "import requests\n",
    ),
    "another error": (
        "Write mean_of(values) with numpy if you can.",
        MEAN,
        "def mean_of(values):\n    return 0.0\n",
    ),
    "input, unasked": ("Write mean_of(values) for a list of input values.", MEAN, GREET),
    "input, forbidden": ("Write mean_of(values), with no input() at import.", MEAN, GREET),
    "an error beside input": (
        "Write a script that asks for the user's name with input().",
        [],
        "print(undefined)\nname = input()\n",
    ),
    "a module of the standard library": (
        "Use the json module for mean_of(values).",
        MEAN,
        "from json import nothing_there\n",
    ),
    "network, unasked": ("Write mean_of(values).", MEAN, DOWNLOAD),
}


@pytest.fixture
async def harness(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Any]]:
    """Return a function that opens service and optimizer on a model that writes some code."""
    async with AsyncExitStack() as stack:

        async def opened(code: str | Callable[[Asked], str]) -> tuple[HealingHarness, Any]:
            reply = agent_reply(code, signature="")
            server = await stack.enter_async_context(serve_scripted_model(reply))
            monkeypatch.setenv("GOOGLE_API_KEY", "scripted")
            monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
            return await stack.enter_async_context(open_healing_harness(database)), server

        yield opened


async def test_what_the_sandbox_lacks_is_of_class_request_and_heals_nothing(harness: Any) -> None:
    answers = {request: code for request, _, code, _ in REQUESTS.values()}

    def code(asked: Asked) -> str:
        return next(code for request, code in answers.items() if request in asked.text)

    opened, _ = await harness(code)
    for name, (request, examples, _, word) in REQUESTS.items():
        result = (await opened.service.run({"request": request, "examples": examples})).result
        assert isinstance(result, Failed), name
        assert result.outcome == "request", name
        assert word in result.message, name
    assert (await opened.heal())["outcome"] == "healthy"
    assert await opened.healings() == []


async def test_what_was_not_requested_is_a_failure(harness: Any) -> None:
    for name, (request, examples, code) in FAILURES.items():
        opened, _ = await harness(code)
        result = (await opened.service.run({"request": request, "examples": examples})).result
        assert not isinstance(result, Failed), (name, result)
        assert not result["evaluation"]["passed"], name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a tiny package, outside of what counts as temporary."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/var/tmp")
    package = tmp_path / "packages" / "numpy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "def mean(values):\n    return sum(values) / len(values)\n"
    )
    return package.parent


async def test_an_operators_packages_are_there_and_the_models_know_them(
    harness: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFHEAL_SANDBOX_PACKAGES", str(folder))
    opened, server = await harness(NUMPY)
    request, examples, *_ = REQUESTS["numpy"]
    assert passed(await opened.service.run({"request": request, "examples": examples}))
    told = [each.text for each in server.asked if "correctness" not in each.fields]
    assert len(told) == 2
    assert all("these packages: numpy." in each for each in told)
    assert not any("packages: numpy" in each.system for each in server.asked)


async def test_without_packages_the_models_know_that_there_are_none(harness: Any) -> None:
    opened, server = await harness(LAZY)
    await opened.service.run({"request": "Write mean_of.", "examples": MEAN})
    assert all("standard library alone." in each.text for each in server.asked)


@pytest.mark.parametrize("backend", ["bwrap", "landlock"])
async def test_programs_can_import_packages_and_not_change_them(backend: str, folder: Path) -> None:
    [report] = [each for each in await survey() if each.name == backend]
    if not report.ok:  # without packages: what breaks because of them is a failure
        pytest.skip(report.reason)
    code = "import numpy, sys\n\ndef write(name):\n    open(f'{sys.path[-1]}/{name}', 'w')\n"
    calls = ("numpy.mean([1, 3])", "write('new')", "write('numpy/__init__.py')")
    async with open_sandbox(backend, packages_in(folder)) as sandbox:
        run = await sandbox.run(Program(code, calls))
    mean, *writes = run.results
    assert mean.value == 2.0
    assert [each.raised is None for each in writes] == [False, False]
    assert os.listdir(folder) == ["numpy"]  # noqa: PTH208 - pathlib's is kept from async tests
    async with open_sandbox(backend) as sandbox:
        run = await sandbox.run(Program(code, calls))
    assert "No module named 'numpy'" in run.detail


async def test_wasm_says_that_it_has_no_packages(folder: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="wasm cannot use SELFHEAL_SANDBOX_PACKAGES"):
        await select_sandbox("wasm", packages_in(folder))


def _absent(folder: Path) -> Path:
    return folder / "absent"


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def _open(folder: Path) -> Path:
    folder.chmod(0o777)
    return folder


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_absent, "does not exist"),
        (_empty, "holds no Python package"),
        (_open, "every user"),
        (lambda _: Path("/"), "more than packages"),
        (lambda _: Path.home(), "more than packages"),
        (lambda _: Path("/etc"), "more than packages"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_at_the_start(
    make: Callable[[Path], Path], words: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFHEAL_SANDBOX_PACKAGES", str(make(folder)))
    with pytest.raises(SettingsError, match=f"^SELFHEAL_SANDBOX_PACKAGES: .*{words}"):
        configured_packages(read_settings())


@pytest.mark.parametrize(
    "text",
    [
        *("not " * 20_000, "not" + " " * 80_000, "input " * 20_000, "input" + " " * 80_000),
        *("import a, " * 8_000, "from . " * 10_000, "a.b-" * 20_000, "\n import x" * 8_000),
        "\n".join(f"import m{each}" for each in range(8_000)),
    ],
    ids=range(9),
)
def test_long_texts_are_read_quickly(text: str) -> None:
    """A request and a program are untrusted; measured as CPU time, which a busy machine leaves."""
    failed = Execution("bwrap", "error", "EOFError: EOF when reading a line", 0.0, "", ())
    facts = CheckResults((Finding("runs", 0.0, "", veto=True),), failed)
    plan = Plan(title="", requirements=[], signature="", examples=[])
    begun = time.thread_time()
    missing_resource(text, plan, text, facts, Packages())
    assert time.thread_time() - begun < 0.25


def test_a_long_list_of_packages_is_cut() -> None:
    many = Packages(Path("/packages"), tuple(f"package{each}" for each in range(10_000)))
    assert len(many.described()) < 2000
