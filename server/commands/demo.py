"""`selfheal demo`: break a prompt, heal it, show the evidence."""

import json
import os
import sys
from pathlib import Path

import click
from rich.console import Console

from selfheal.app.llm.models import require_model
from selfheal.db.settings import SettingsError
from selfheal.graph.sandbox.selection import survey
from selfheal.optimizer.wording import sentence
from selfheal.server.commands.errors import CommandError
from selfheal.server.commands.runtime import run_async
from selfheal.server.demo.play import DemoResult, NoSandboxError, run_demo
from selfheal.server.demo.report import write
from selfheal.server.demo.show import ConsoleProgress, show
from selfheal.server.observability.langsmith import tracing
from selfheal.server.settings import read_settings

NOT_HEALED, NO_SANDBOX = 1, 3


@run_async
async def demo(json_file: str | None, report: str, cycles: int, seed: int) -> None:
    """Break a prompt, heal it and show the evidence, in a temporary database.

    Args:
        json_file: where the figures are written as JSON; none if empty.
        report: the folder of the report.
        cycles: how often the known requests are sent, before and after.
        seed: of the simulated model, which is used if no model is configured.

    Raises:
        CommandError: exit code 1 if no better prompt was released, 3 if no sandbox works.
    """
    settings = read_settings()
    try:
        require_model(settings)
    except SettingsError:
        _restart_with_simulator(seed)
    console = Console(soft_wrap=True, emoji=False)
    with ConsoleProgress(console) as screen:
        try:
            async with tracing():
                result = await run_demo(settings, cycles, screen)
        except NoSandboxError:
            raise CommandError(await _no_sandbox(), NO_SANDBOX) from None
    show(console, result)
    _write(result, json_file, report, settings.pass_threshold)
    if not result.healed:
        raise CommandError(f"the prompt was not healed: {_reason(result)}", NOT_HEALED)


def _reason(result: DemoResult) -> str:
    """Return the outcome of the healing and, if runs had no verdict, the reason of one of them."""
    reason = f"{result.healing['outcome']}, {sentence(result.healing.get('reason'))}"
    run = result.phases[-1][1].failing
    if run is None or run.outcome == "failed" or run.message in reason:
        return reason
    return f"{reason}; a run ended with {run.outcome}: {run.message}"


def _write(result: DemoResult, json_file: str | None, report: str, threshold: float) -> None:
    if json_file:
        Path(json_file).write_text(json.dumps(result.as_json(), indent=2), encoding="utf-8")
    paths = write(result, Path(report), threshold)
    click.echo("report: " + "  ".join(str(path) for path in paths))


def _restart_with_simulator(seed: int) -> None:
    """Replace this process by the simulator, with this command as its child."""
    command = (sys.executable, "-m", "selfheal.server", *sys.argv[1:])
    simulator = (sys.executable, "-m", "selfheal.simulator", "--seed", str(seed), "--", *command)
    os.execv(sys.executable, simulator)  # noqa: S606 - our own interpreter and module


async def _no_sandbox() -> str:
    remedies = "; or ".join(
        f"{report.remedy} ({report.reason})" for report in await survey() if report.remedy
    )
    return f"no sandbox works here, and code that was not executed is no evidence: {remedies}"
