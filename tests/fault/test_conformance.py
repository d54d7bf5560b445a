"""Every attack of the catalogue, on every backend that works here; each with its control."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bench.attacks import BACKENDS, CATALOGUE
from bench.attacks.attack import Attack
from bench.attacks.runner import attempt, control
from bench.attacks.targets import Targets, targets
from bench.hostile import run_hostile_programs
from selfheal.graph.sandbox.protocol import Sandbox, SandboxUnavailable
from selfheal.graph.sandbox.selection import open_sandbox


def cases() -> list[Any]:
    """Return every attack on every backend; on landlock, the slow one, two thirds are chaos's."""
    return [
        pytest.param(
            backend,
            attack,
            marks=pytest.mark.chaos if backend == "landlock" and number % 3 else (),
            id=f"{backend}-{attack.family}-{attack.name}",
        )
        for backend in BACKENDS
        for number, attack in enumerate(CATALOGUE)
    ]


@pytest.fixture(scope="module")
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    async with contextlib.AsyncExitStack() as stack:
        try:
            found = await stack.enter_async_context(open_sandbox(request.param))
        except SandboxUnavailable as problem:
            pytest.skip(f"NOT TESTED: {request.param} does not work here: {problem.reason}")
        yield found


@pytest.fixture(scope="module")
async def aims() -> AsyncIterator[Targets]:
    async with targets() as made:
        yield made


@pytest.mark.parametrize(("sandbox", "attack"), cases(), indirect=["sandbox"])
async def test_it_is_stopped(sandbox: Sandbox, aims: Targets, attack: Attack) -> None:
    outcome = await attempt(attack, sandbox, aims)
    assert outcome.state == "stopped", outcome.how


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(
            attack,
            marks=pytest.mark.chaos if number % 3 else (),
            id=f"{attack.family}-{attack.name}",
        )
        for number, attack in enumerate(CATALOGUE)
    ],
)
async def test_it_works_without_a_sandbox(attack: Attack) -> None:
    outcome = await control(attack)
    if outcome.state == "control unavailable":
        pytest.skip(f"CONTROL UNAVAILABLE: {outcome.how}")
    assert outcome.state == "works", outcome.how


@pytest.mark.parametrize("backend", BACKENDS)
async def test_nothing_is_left_of_many(backend: str) -> None:
    try:
        seen = await run_hostile_programs(backend, programs=60)
    except SandboxUnavailable as problem:
        pytest.skip(f"NOT TESTED: {backend} does not work here: {problem.reason}")
    assert seen.succeeded == []
    assert seen.left == []


def test_every_attack_has_a_name_of_its_own() -> None:
    names = {(each.family, each.name) for each in CATALOGUE}
    assert len(names) == len(CATALOGUE) >= 40
