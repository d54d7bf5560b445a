"""`selfheal demo`: break a prompt, heal it, show the proof."""

import json
import os
import sys
from pathlib import Path

import click
from rich.console import Console

from selfheal.app.llm.models import require_model
from selfheal.db.settings import SettingsError
from selfheal.graph.sandbox.selection import survey
from selfheal.server.commands.errors import Refused
from selfheal.server.commands.runtime import run_async
from selfheal.server.demo.play import NoSandboxError, Story, play
from selfheal.server.demo.report import write
from selfheal.server.demo.show import Screen, show
from selfheal.server.observability.langsmith import tracing
from selfheal.server.settings import read_settings

NOT_HEALED, NO_SANDBOX = 1, 3


@run_async
async def demo(json_file: str | None, report: str, cycles: int, seed: int) -> None:
    """Break a prompt, heal it and show the proof, in a database of its own."""
    settings = read_settings()
    try:
        require_model(settings)
    except SettingsError:
        _begin_again_beside_a_stand_in(seed)
    console = Console(soft_wrap=True, emoji=False)
    with Screen(console) as screen:
        try:
            async with tracing():
                story = await play(settings, cycles, screen)
        except NoSandboxError:
            raise Refused(await _no_sandbox(), NO_SANDBOX) from None
    show(console, story)
    _write(story, json_file, report, settings.pass_threshold)
    if not story.healed:
        raise Refused(f"the prompt was not healed: {_why(story)}", NOT_HEALED)


def _why(story: Story) -> str:
    """Say how the healing ended and, where runs had no verdict, why one of them had none."""
    why = f"{story.healing['outcome']}, {story.healing.get('reason', '')}"
    run = story.phases[-1][1].failing
    if run is None or run.outcome == "failed" or run.message in why:
        return why
    return f"{why}; a run ended with {run.outcome}: {run.message}"


def _write(story: Story, json_file: str | None, report: str, threshold: float) -> None:
    if json_file:
        Path(json_file).write_text(json.dumps(story.as_json(), indent=2), encoding="utf-8")
    paths = write(story, Path(report), threshold)
    click.echo("report: " + "  ".join(str(path) for path in paths))


def _begin_again_beside_a_stand_in(seed: int) -> None:
    """Run this very command again as a child of a simulated model, a process of its own."""
    ours = (sys.executable, "-m", "selfheal.server", *sys.argv[1:])
    stand_in = (sys.executable, "-m", "selfheal.simulator", "--seed", str(seed), "--", *ours)
    os.execv(sys.executable, stand_in)  # noqa: S606 - our own interpreter and module


async def _no_sandbox() -> str:
    mends = "; or ".join(f"{each.remedy} ({each.reason})" for each in await survey() if each.remedy)
    return f"no sandbox works here, and unexecuted code proves nothing: {mends}"
