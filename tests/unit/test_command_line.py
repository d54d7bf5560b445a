"""The command line's declarations: cheap to describe, and true of what does the work."""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any, get_args

import click
import pytest

from bench.harness.processes import clean_environment
from selfheal.db.api_keys import Scope
from selfheal.db.runs import Outcome
from selfheal.db.types import Agent
from selfheal.server.cli import deferred, selfheal
from selfheal.server.cli.keys import SCOPES
from selfheal.server.cli.options import AGENTS
from selfheal.server.cli.runs import OUTCOMES

_FREE = {*sys.stdlib_module_names, "click"}
_HELP_SECONDS = 0.5  # of CPU; on a quiet machine it takes a tenth of that
_HELP_OF_ALL = """
import json, sys
before = set(sys.modules)
from selfheal.server.cli import selfheal
for path in json.loads(sys.argv[1]):
    try:
        selfheal.main([*path, "--help"], prog_name="selfheal", standalone_mode=False)
    except SystemExit as ended:
        assert not ended.code, ended
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def _tree(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _tree(below, (*path, name))


def _command(path: tuple[str, ...]) -> click.Command:
    found: click.Command = selfheal
    for name in path:
        assert isinstance(found, click.Group)
        found = found.commands[name]
    return found


ALL = list(_tree(selfheal))
LEAVES = [path for path in ALL if not isinstance(_command(path), click.Group)]


def test_help_imports_nothing_but_click_and_what_is_declared() -> None:
    command = [sys.executable, "-c", _HELP_OF_ALL, json.dumps(ALL)]
    ended = subprocess.run(
        command, check=True, capture_output=True, text=True, env=clean_environment(), timeout=60
    )
    *said, imported = ended.stdout.splitlines()
    assert sum(line.startswith("Usage: selfheal") for line in said) == len(ALL) > 30
    foreign = [n for n in json.loads(imported) if n.partition(".")[0] not in _FREE]
    assert [n for n in foreign if not n.startswith("selfheal.server.cli")] == [
        "selfheal",
        "selfheal.server",
        "selfheal.server.http",
        "selfheal.server.http.binding",
    ]


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_takes_little_time(path: tuple[str, ...]) -> None:
    command = (sys.executable, "-m", "selfheal.server", *path, "--help")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=clean_environment())
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert used.ru_utime + used.ru_stime < _HELP_SECONDS


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_a_command_is_done_by_a_function_that_takes_its_options(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = _command(path)
    options = {each.name for each in command.params}
    done: list[tuple[str, str, dict[str, Any]]] = []

    class Module(SimpleNamespace):
        def __getattr__(self, name: str) -> Any:
            return lambda **given: done.append((self.place, name, given))

    monkeypatch.setattr(deferred, "import_module", lambda place: Module(place=place))
    assert command.callback is not None
    command.callback(**dict.fromkeys(options, None))
    [(place, name, given)] = done
    function = getattr(import_module(place), name)
    assert set(inspect.signature(function).parameters) == given.keys() == options


@pytest.mark.parametrize(
    ("declared", "known"), [(AGENTS, Agent), (OUTCOMES, Outcome), (SCOPES, Scope)]
)
def test_choices_are_those_of_the_database(declared: tuple[str, ...], known: Any) -> None:
    assert declared == get_args(known)
